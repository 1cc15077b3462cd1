"""Puts generated text between markers: `generated: NAME` and `generated: end`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from docs import plugin

ROOT = Path(__file__).parent.parent
TARGETS = yaml.safe_load((ROOT / "docs" / "targets.yml").read_text(encoding="utf-8"))
RECIPES = yaml.safe_load((ROOT / "docs" / "recipes.yml").read_text(encoding="utf-8"))


def render() -> dict[str, str]:
    """Give the text of each file that has generated parts, by its name."""
    files = {"plugin.yaml": plugin.to_yaml(plugin.definition())}
    files |= {f"docs/hub/{path}": text for path, text in plugin.hub_files().items()}
    settings = plugin.to_yaml([_short(item) for item in plugin.settings()], sort_keys=False)
    files["meltano.yml"] = _replace("meltano.yml", {"settings": settings}, indent="    ")
    for name, language in (("README.md", "en"), ("README.ru.md", "ru")):
        if (ROOT / name).exists():
            files[name] = _replace(name, tables(language))
    return files


def tables(language: str) -> dict[str, str]:
    """Give the tables of a README by name."""
    words = yaml.safe_load((ROOT / "docs" / f"{language}.yml").read_text(encoding="utf-8"))
    own: list[str] = []
    foreign: list[str] = []
    for setting in plugin.settings():
        row = _setting_row(setting, words["settings"])
        is_own = setting["name"].split(".")[0] in plugin.own_names()
        (own if is_own else foreign).append(row)
    targets = _row(words["targets_header"]) + _row(["---"] * len(words["targets_header"]))
    for target in TARGETS:
        notes = words["targets"].get(target["package"], target["notes"])
        proof = words["proofs"].get(target["proof"], target["proof"])
        targets += _row([f"{target['package']} {target['version']}", proof, notes])
    header = _row(words["settings_header"]) + _row(["---"] * len(words["settings_header"]))
    schema = json.loads((ROOT / "schemas" / "requests.json").read_text(encoding="utf-8"))
    fields = _row(words["fields_header"]) + _row(["---"] * len(words["fields_header"]))
    fields += "".join(_field_rows(schema, "", words))
    return {
        "settings": header + "".join(own),
        "sdk-settings": header + "".join(foreign),
        "fields": fields,
        "targets": targets,
        **{f"recipe {name}": f"```yaml\n{text}```\n" for name, text in RECIPES.items()},
    }


def _short(setting: dict[str, Any]) -> dict[str, Any]:
    """Leave to the Hub's definition what a project does not need."""
    return {key: value for key, value in setting.items() if key != "label"}


def _setting_row(setting: dict[str, Any], words: dict[str, str]) -> str:
    name = setting["name"]
    default = "" if "value" not in setting else f"`{json.dumps(setting['value'])}`"
    kind = setting["kind"]
    if "options" in setting:
        kind = ", ".join(f"`{option['value']}`" for option in setting["options"])
    required = " *" if name in plugin.required() else ""
    return _row([f"`{name}`{required}", kind, default, words.get(name, setting["description"])])


def _field_rows(schema: dict[str, Any], path: str, words: dict[str, Any]) -> list[str]:
    rows = []
    for name, field in schema["properties"].items():
        here = f"{path}{name}"
        kinds = field["type"] if isinstance(field["type"], list) else [field["type"]]
        kind = field.get("format") or next(item for item in kinds if item != "null")
        items = field.get("items", {})
        if items.get("type") and not items.get("properties"):
            kind = f"array of {next(item for item in items['type'] if item != 'null')}"
        text = words["fields"].get(here, field["description"])
        for mark in ("deprecated", "x-observed"):
            if field.get(mark):
                text += f" _{words[mark]}_"
        rows.append(_row([f"`{here}`", kind, text]))
        if here in {"order", "orders[].session"}:
            continue  # the same fields as elsewhere: the description says where
        if field.get("properties"):
            rows += _field_rows(field, f"{here}.", words)
        elif items.get("properties"):
            rows += _field_rows(items, f"{here}[].", words)
    return rows


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def _replace(name: str, parts: dict[str, str], indent: str = "") -> str:
    text = (ROOT / name).read_text(encoding="utf-8")
    for part, content in parts.items():
        before, _, rest = text.partition(f"generated: {part} (")
        opening, _, rest = rest.partition("\n")
        last_line = next(line for line in rest.splitlines() if "generated: end" in line)
        after = rest[rest.index(last_line) :]
        lines = "".join(f"{indent}{line}\n" for line in content.splitlines())
        text = f"{before}generated: {part} ({opening}\n{lines}{after}"
    return text
