"""Fills the parts of files between the markers `generated: NAME` and `generated: end`."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml

from docs import plugin

ROOT = Path(__file__).parent.parent
MARKED = re.compile(
    r"^(?P<indent> *)(?P<start>(?P<comment>#|<!--) generated: (?P<name>.+) \(`make docs`\).*\n)"
    r"(?:.*\n)*?(?P<end> *(?P=comment) generated: end)",
    re.MULTILINE,
)


def render() -> dict[str, str]:
    """Return the text of each file that is generated or has generated parts, by its path."""
    files = {"plugin.yaml": plugin.to_yaml(plugin.definition())}
    parts = {language: tables(language) for language in ("en", "ru")}
    for path in (ROOT / "meltano.yml", *sorted((ROOT / "docs").rglob("*.md"))):
        text = path.read_text(encoding="utf-8")
        if MARKED.search(text):
            language = "ru" if path.parent.name == "ru" else "en"
            files[path.relative_to(ROOT).as_posix()] = _fill(text, parts[language])
    return files


def tables(language: str) -> dict[str, str]:
    """Return the generated parts by name, with the words of a language."""
    words = _data(language)
    names = plugin.own_names()
    settings = plugin.settings()
    own = [setting for setting in settings if setting["name"].split(".")[0] in names]
    sdk = [setting for setting in settings if setting not in own]
    texts = _data("recipes") | {"json_texts": plugin.to_yaml({"config": json_texts()})}
    recipes = {f"recipe {name}": f"```yaml\n{text}```\n" for name, text in texts.items()}
    return {
        "project settings": plugin.to_yaml(list(map(_without_label, settings)), sort_keys=False),
        "settings": _settings(own, words),
        "sdk-settings": _settings(sdk, words),
        "fields": "\n".join(_fields(path, words) for path in sorted(ROOT.glob("schemas/*.json"))),
        "targets": _targets(words),
        **recipes,
    }


def json_texts() -> dict[str, Any]:
    """Return settings with which the tap writes each object and each array as JSON text."""
    maps: dict[str, dict[str, str]] = {}
    for path in sorted(ROOT.glob("schemas/*.json")):
        fields = json.loads(path.read_text(encoding="utf-8"))["properties"].items()
        nested = [name for name, field in fields if _type(field) in {"object", "array"}]
        maps[path.stem] = {name: f"json.dumps({name}, ensure_ascii=False)" for name in nested}
    return {"stream_maps": maps}


def _data(name: str) -> Any:
    return yaml.safe_load((ROOT / "docs" / f"{name}.yml").read_text(encoding="utf-8"))


def _fill(text: str, parts: dict[str, str]) -> str:
    def fill(match: re.Match[str]) -> str:
        lines = parts[match["name"]].splitlines(keepends=True)
        content = "".join(match["indent"] + line if line.strip() else line for line in lines)
        return f"{match['indent']}{match['start']}{content}{match['end']}"

    return MARKED.sub(fill, text)


def _without_label(setting: dict[str, Any]) -> dict[str, Any]:
    """Leave out what only the Hub shows."""
    return {key: value for key, value in setting.items() if key != "label"}


def _settings(settings: list[dict[str, Any]], words: dict[str, Any]) -> str:
    required = plugin.required()
    rows = []
    for setting in settings:
        name = setting["name"]
        kind = ", ".join(f"`{option['value']}`" for option in setting.get("options", []))
        rows.append(
            [
                f"`{name}` *" if name in required else f"`{name}`",
                kind or words["kinds"].get(setting["kind"], setting["kind"]),
                f"`{json.dumps(setting['value'])}`" if "value" in setting else "",
                words["settings"].get(name, setting["description"]),
            ]
        )
    return _table(words["settings_header"], rows)


def _targets(words: dict[str, Any]) -> str:
    rows = [
        [
            f"{row['package']} {row['version']}",
            words["proofs"].get(row["proof"], row["proof"]),
            words["targets"].get(row["package"], row["notes"]),
        ]
        for row in _data("targets")
    ]
    return _table(words["targets_header"], rows)


def _fields(path: Path, words: dict[str, Any]) -> str:
    """Return the heading, the description and the table of one stream."""
    schema = json.loads(path.read_text(encoding="utf-8"))
    description = words["streams"].get(path.stem, schema["description"])
    rows = _field_rows(schema, "", words, words["fields"].get(path.stem, {}))
    return f"## `{path.stem}`\n\n{description}\n\n{_table(words['fields_header'], rows)}"


def _field_rows(
    schema: dict[str, Any], prefix: str, words: dict[str, Any], translated: dict[str, str]
) -> list[list[str]]:
    rows = []
    for name, field in schema["properties"].items():
        path = f"{prefix}{name}"
        items = field.get("items", {})
        kind = field.get("format") or _type(field)
        if items and not items.get("properties"):
            kind = f"array of {_type(items)}"
        marks = [f" _{words[mark]}_" for mark in ("deprecated", "x-observed") if field.get(mark)]
        text = translated.get(path, field["description"])
        rows.append([f"`{path}`", kind, "".join([text, *marks])])
        if field.get("deprecated"):
            continue  # its description names the field to use, which has the same parts
        if field.get("properties"):
            rows += _field_rows(field, f"{path}.", words, translated)
        elif items.get("properties"):
            rows += _field_rows(items, f"{path}[].", words, translated)
    return rows


def _type(schema: dict[str, Any]) -> str:
    """Return the only type beside null."""
    types = schema["type"]
    return types if isinstance(types, str) else next(item for item in types if item != "null")


def _table(header: list[str], rows: list[list[str]]) -> str:
    return "".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |\n"
        for row in [header, ["---"] * len(header), *rows]
    )
