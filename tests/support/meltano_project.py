"""Temporary Meltano projects around this checkout: real Meltano, real targets from PyPI."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

import docs.plugin
from sandbox import CallJournal
from tap_calltouch.config.settings import SETTINGS as TAP_SETTINGS
from tests.support.environments import environment
from tests.support.pages import blocks

if TYPE_CHECKING:
    from sandbox import Sandbox
    from sandbox.journal import Records

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
#: The schema of each stream, by its name.
SCHEMAS: dict[str, dict[str, Any]] = {
    path.stem: json.loads(path.read_text(encoding="utf-8"))
    for path in sorted((ROOT / "schemas").glob("*.json"))
}
SCHEMA = SCHEMAS["requests"]

Config = dict[str, Any]
Key = tuple[int, int]
Rows = dict[Key, Config]
SETTINGS: Config = {
    "default_environment": "test",
    "environments": [{"name": "test"}],
    "project_id": "tap-calltouch-tests",
    "requires_meltano": ">=4.0",
    "send_anonymous_usage_stats": False,
    "cli": {"disable_version_check": True},
}


class Loader(NamedTuple):
    """A target as a Meltano project names it: its plugin, the package, the executable."""

    name: str
    pip_url: str
    #: Which Pythons it runs on, where those are not all that the tap runs on.
    python: str = ""


POSTGRES = Loader("target-postgres", "meltanolabs-target-postgres==0.8.1")
JSONL = Loader("target-jsonl", "target-jsonl==0.1.4")
CSV = Loader("target-csv", "meltanolabs-target-csv==0.5.0")
#: With a server that stands in for S3, and whatever the target forgets to ask for.
S3 = Loader("target-s3", "plinxore-target-s3==0.1.7 moto[server]==5.2.5")
#: The Hub's most used target; on newer Pythons its driver has to be built.
PIPELINEWISE = Loader(
    "target-postgres", "pipelinewise-target-postgres==2.1.2 setuptools<81", ">=3.10,<3.12"
)
SNOWFLAKE = Loader(
    "target-snowflake", "meltanolabs-target-snowflake==0.20.4 fakesnow==0.12.1", ">=3.11"
)
BIGQUERY = Loader("target-bigquery", "z3-target-bigquery==0.7.2 setuptools<81", ">=3.10,<3.12")
#: With the engine of the server that stands in for ClickHouse.
CLICKHOUSE = Loader(
    "target-clickhouse",
    "shaped-target-clickhouse==0.2.5 setuptools<81 chdb-core==26.9.0",
    ">=3.10,<3.12",
)
DUCKDB = Loader("target-duckdb", "target-duckdb==0.8.0")


def plugin(name: str, config: Config, settings: list[Config], **others: Any) -> Config:
    """Describe a plugin of a project that has no Hub to ask.

    Args:
        name: The plugin's name and that of its executable.
        config: Its settings' values.
        settings: Its settings' names and kinds.
        others: Further keys.

    Returns:
        An item of `plugins.extractors` or `plugins.loaders`.
    """
    namespace = name.replace("-", "_")
    return {"name": name, "namespace": namespace, "settings": settings, "config": config, **others}


class Project:
    """A Meltano project with this checkout's tap and one target."""

    def __init__(
        self, path: Path, sandbox: Sandbox, loader: Loader, loader_config: Config, **settings: Any
    ) -> None:
        """Write the project and install its target, unless that was done before.

        Args:
            path: An empty folder.
            sandbox: The API.
            loader: The target.
            loader_config: Its settings.
            settings: The tap's, beside the address, the token and all `with_` flags.
        """
        self.path = path
        self.loader = loader.name
        self._packages = loader.pip_url
        self.content: Config = {
            **SETTINGS,
            "plugins": {
                "extractors": [
                    plugin(
                        "tap-calltouch",
                        tap_config(sandbox, **settings),
                        docs.plugin.settings(),
                        executable=str(BIN / "tap-calltouch"),
                        capabilities=["batch", "catalog", "discover", "state", "stream-maps"],
                    )
                ],
                "loaders": [describe(loader, loader_config)],
            },
        }
        self.write()

    @property
    def tap(self) -> Config:
        """The tap's entry, to be changed before `write`."""
        entry: Config = self.content["plugins"]["extractors"][0]
        return entry

    def use_printed_loader(self, heading: str, **config: Any) -> None:
        """Take the target's entry from `docs/targets.md`, as it is printed there.

        Args:
            heading: The heading above it.
            config: Values in place of the printed ones.
        """
        (entry,) = yaml.safe_load(blocks("docs/targets.md", heading)[0].text)["plugins"]["loaders"]
        (own,) = self.content["plugins"]["loaders"]
        assert entry["name"] == own["name"]
        # The target is installed already, once for all tests.
        assert self._packages.startswith(entry.pop("pip_url"))
        entry.pop("python", None)
        assert config.keys() <= entry["config"].keys()
        entry |= {"executable": own["executable"], "config": entry["config"] | config}
        self.content["plugins"]["loaders"] = [entry]
        self.write()

    def write(self) -> None:
        """Write `meltano.yml`."""
        text = yaml.safe_dump(self.content, allow_unicode=True, sort_keys=False)
        (self.path / "meltano.yml").write_text(text, encoding="utf-8")

    def start(self, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        """Start Meltano in a session of its own, all output in one pipe.

        Args:
            arguments: Such as `run` and its own.
            variables: Environment variables to add.

        Returns:
            The process.
        """
        return start_meltano(self.path, *arguments, **variables)

    def run(self, *arguments: str, tap: str = "tap-calltouch", **variables: str) -> str:
        """Run the pipeline, `meltano run tap-calltouch target-...`, to its end.

        Args:
            arguments: Options of `run`.
            tap: Another name of the tap.
            variables: Environment variables to add.

        Returns:
            What Meltano printed.
        """
        with self.start("run", *arguments, tap, self.loader, **variables) as process:
            return finish(process)


def tap_config(sandbox: Sandbox, **settings: Any) -> Config:
    """Return settings of the tap: the address, the token, all `with_` flags, and those given."""
    return {
        "api_url": sandbox.url,
        "api_token": sandbox.token,
        "start_date": "2024-02-01",
        **{name: True for name in TAP_SETTINGS["properties"] if name.startswith("with_")},
        **settings,
    }


def describe(loader: Loader, config: Config) -> Config:
    """Describe a target, installed, with just the settings that are given."""
    kinds = {bool: "boolean", dict: "object", int: "integer"}
    settings = [
        {"name": name, "kind": kinds.get(type(value), "string")} for name, value in config.items()
    ]
    executable = install(loader) / "venv" / "bin" / loader.name
    return plugin(loader.name, config, settings, executable=str(executable))


def start_meltano(folder: Path, *arguments: str, **variables: str) -> subprocess.Popen[str]:
    """Start Meltano in a project's folder; see `Project.start`."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MELTANO")}
    return subprocess.Popen(
        [BIN / "meltano", *arguments],
        cwd=folder,
        env={**environment, "NO_COLOR": "1", **variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def finish(process: subprocess.Popen[str]) -> str:
    """Wait for a process that must not fail, and return its output."""
    output, _ = process.communicate()
    assert process.returncode == 0, output
    return output


def install(loader: Loader) -> Path:
    """Install a target, unless that was done before.

    Args:
        loader: The target.

    Returns:
        The folder that holds its virtual environment, `venv`.
    """
    packages = loader.pip_url.split()
    return environment(packages[0].partition("==")[0], loader.python, *packages)


def pipe(path: Path, loader: Loader, loader_config: Config, tap_settings: Config) -> None:
    """Run `tap-calltouch | target-...` without Meltano.

    Args:
        path: A folder for the configs.
        loader: The target.
        loader_config: Its settings.
        tap_settings: The tap's.
    """
    configs = {"tap": tap_settings, "target": loader_config}
    for name, config in configs.items():
        (path / f"{name}.json").write_text(json.dumps(config), encoding="utf-8")
    target = install(loader) / "venv" / "bin" / loader.name
    with subprocess.Popen(
        [BIN / "tap-calltouch", "--config", path / "tap.json"], stdout=subprocess.PIPE
    ) as tap:
        subprocess.run(
            [target, "--config", path / "target.json"],
            stdin=tap.stdout,
            stdout=subprocess.DEVNULL,
            check=True,
        )
    assert tap.returncode == 0


def expected(journal: Records) -> Rows:
    """Return what a target must hold, by key: the journal's records, less what is null.

    Args:
        journal: The records as the API has them, with epochs where the tap writes instants.

    Returns:
        The fields of the schema.
    """
    stream = stream_of(journal)
    units = {"requests": 1000, "calls": 1}  # of the API's instants, in a second
    rows = {}
    for record in journal.records():
        row = fit(record, SCHEMAS[stream], units[stream])
        if stream == "calls" and (text := row.get("sessionDate")):
            row["sessionDate"] = on_12_hours(text)  # as that API writes it
        rows[key_of(row, stream)] = row
    return rows


def on_12_hours(text: str) -> str:
    """Return a time such as `21/02/2024 20:14:28` as a 12-hour clock shows it."""
    form = "%d/%m/%Y %H:%M:%S"
    return datetime.strptime(text, form).strftime(form.replace("%H", "%I"))  # noqa: DTZ007


def stream_of(journal: Records) -> str:
    """Return the name of the stream that loads a journal."""
    return "calls" if isinstance(journal, CallJournal) else "requests"


def key_of(row: Config, stream: str) -> Key:
    """Return the values of a row's key properties."""
    return row["siteId"], row[{"requests": "requestId", "calls": "callId"}[stream]]


def fit(value: Any, schema: Config, units: int) -> Any:
    """Return what the tap makes of a value, without its nulls."""
    if schema.get("format") == "date-time":
        instant = datetime.fromtimestamp(value / units, timezone.utc)
        return instant.isoformat(timespec="milliseconds")
    if isinstance(value, dict) and schema.get("properties"):
        fields = schema["properties"].items()
        return {name: fit(value[name], field, units) for name, field in fields if has(value, name)}
    if isinstance(value, list):
        return [fit(item, schema["items"], units) for item in value]
    return value


def has(record: Config, name: str) -> bool:
    """Return whether a record has a value; a target may add nulls or leave them out."""
    return record.get(name) is not None


def without_nulls(value: Any) -> Any:
    """Drop null values from objects at every depth."""
    if isinstance(value, dict):
        return {name: without_nulls(item) for name, item in value.items() if has(value, name)}
    if isinstance(value, list):
        return [without_nulls(item) for item in value]
    return value
