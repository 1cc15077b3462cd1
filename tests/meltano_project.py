"""Temporary Meltano projects around this checkout: real Meltano, real targets from PyPI."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml
from filelock import FileLock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.sandbox import Sandbox

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
#: Plugins that were installed once, for all tests and all of pytest's workers.
INSTALLED = ROOT / ".pytest_cache" / "meltano"

Config = dict[str, Any]
_KINDS = {bool: "boolean", dict: "object", float: "decimal", int: "integer", list: "array"}


class Loader(NamedTuple):
    """A target as a Meltano project names it: its plugin, the package, the executable."""

    name: str
    pip_url: str


POSTGRES = Loader("target-postgres", "meltanolabs-target-postgres==0.8.1")
JSONL = Loader("target-jsonl", "target-jsonl==0.1.4")
CSV = Loader("target-csv", "meltanolabs-target-csv==0.5.0")


def plugin(name: str, config: Config, **others: Any) -> Config:
    """Describe a plugin of a project that has no Hub to ask.

    Args:
        name: The plugin's name and that of its executable.
        config: Its settings, of which only those that are given are declared.
        others: Further keys.

    Returns:
        An item of `plugins.extractors` or `plugins.loaders`.
    """
    settings = [{"name": key, "kind": _KINDS.get(type(config[key]), "string")} for key in config]
    return {
        "name": name,
        "namespace": name.replace("-", "_"),
        "settings": settings,
        "config": config,
        **others,
    }


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
        tap_config = {
            "api_url": sandbox.url,
            "api_token": sandbox.token,
            "start_date": "2024-02-01",
            "requests_per_second": 5,
            **dict.fromkeys(ALL_FLAGS, True),
            **settings,
        }
        self.content: Config = {
            "version": 1,
            "default_environment": "test",
            "environments": [{"name": "test"}],
            "project_id": "tap-calltouch-tests",
            "requires_meltano": ">=4.0",
            "send_anonymous_usage_stats": False,
            "cli": {"disable_version_check": True},
            "plugins": {
                "extractors": [
                    plugin(
                        "tap-calltouch",
                        tap_config,
                        executable=str(BIN / "tap-calltouch"),
                        capabilities=["batch", "catalog", "discover", "state", "stream-maps"],
                    )
                ],
                "loaders": [plugin(loader.name, loader_config, pip_url=loader.pip_url)],
            },
        }
        self.write()
        self._install(loader)

    @property
    def tap(self) -> Config:
        """The tap's entry, to be changed before `write`."""
        entry: Config = self.content["plugins"]["extractors"][0]
        return entry

    def write(self) -> None:
        """Write `meltano.yml`."""
        text = yaml.safe_dump(self.content, allow_unicode=True, sort_keys=False)
        (self.path / "meltano.yml").write_text(text, encoding="utf-8")

    def _install(self, loader: Loader) -> None:
        folder = self.path / ".meltano" / "loaders"
        folder.mkdir(parents=True)
        installed = INSTALLED / loader.pip_url
        installed.mkdir(parents=True, exist_ok=True)
        (folder / loader.name).symlink_to(installed)
        # The environment's own path is written into it, so it is made where it stays.
        with FileLock(installed.with_suffix(".lock")):
            if not (installed / "done").exists():
                self.meltano("install", "loader", loader.name)
                (installed / "done").touch()

    def start(self, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        """Start Meltano in a session of its own, all output in one pipe.

        Args:
            arguments: Such as `run` and its own.
            variables: Environment variables to add.

        Returns:
            The process.
        """
        environment = {
            key: value for key, value in os.environ.items() if not key.startswith("MELTANO")
        }
        return subprocess.Popen(
            [BIN / "meltano", *arguments],
            cwd=self.path,
            env={**environment, "NO_COLOR": "1", "PYTHONUNBUFFERED": "1", **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def meltano(self, *arguments: str, **variables: str) -> str:
        """Run Meltano to its end.

        Args:
            arguments: Such as `run` and its own.
            variables: Environment variables to add.

        Returns:
            What it printed.

        Raises:
            AssertionError: If it failed.
        """
        with self.start(*arguments, **variables) as process:
            output, _ = process.communicate()
        assert process.returncode == 0, output
        return output

    def run(self, *arguments: str, tap: str = "tap-calltouch", **variables: str) -> str:
        """Run the pipeline, `meltano run tap-calltouch target-...`, and return the output."""
        return self.meltano("run", *arguments, tap, self.loader, **variables)

    def state(self, tap: str = "tap-calltouch") -> Config:
        """Return the tap's bookmarks as Meltano keeps them."""
        output = self.meltano("state", "get", f"test:{tap}-to-{self.loader}")
        found: Config = json.loads(output[output.index("{") :])
        return found["singer_state"]["bookmarks"]["requests"]  # type: ignore[no-any-return]


ALL_FLAGS = (
    "with_map_visits",
    "with_request_tags",
    "with_yandex_direct",
    "with_google_adwords",
    "with_attrs",
    "with_widget_info",
    "with_custom_fields",
    "with_dcm",
)
