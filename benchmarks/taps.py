"""The processes that are compared: what each is asked to load, and how it is started."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.request import urlopen

from benchmarks.environments import executable
from benchmarks.measure import FailedRunError, Run, run
from tests.support.tap import FLAGS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DAY = date(2024, 1, 1)  # that of the server's records
OPTIONS: dict[str, dict[str, Any]] = {
    "stream map": {"stream_maps": {"requests": {"phone": "client['phones'] and subject.upper()"}}},
    "flattening": {"flattening_enabled": True, "flattening_max_depth": 2},
}


class Load(NamedTuple):
    """What is to be loaded.

    Attributes:
        windows: Number of answers.
        records: Number of records in each. No multiple of 1,000, which this tap takes for a sign of
            an API that caps its answers, so that it asks for the halves of the window as well.
        kind: `clean`, `drifted` if two values of each record have another type, or `distinct` if
            no record comes twice.
        latency: Seconds before each answer.
        encoding: `plain` or `gzip`.
    """

    windows: int
    records: int
    kind: str = "clean"
    latency: float = 0
    encoding: str = "plain"

    @property
    def total(self) -> int:
        """Records in all answers."""
        return self.windows * self.records


class Taps:
    """Starts the processes that are compared, all of them reading from one server."""

    def __init__(self, port: int, folder: Path) -> None:
        self._port = port
        self._folder = folder
        self._files = 0
        self._ready: set[str] = set()

    def ours(self, load: Load, *, catalog: str = "", **settings: Any) -> Run:
        """Run this tap."""
        return self._tap("tap_calltouch", self.config(load) | settings, load, catalog)

    def config(self, load: Load) -> dict[str, Any]:
        """Return this tap's settings."""
        return {
            "api_token": "benchmark",
            "api_url": self._url(load),
            "bind_to": "session",  # the server's answers are the same for each window
            "start_date": f"{DAY}",
            "end_date": f"{DAY + timedelta(days=load.windows - 1)}",
            "window_days": 1,
            **dict.fromkeys(FLAGS, True),
        }

    def plain(self, load: Load, *, catalog: str = "", **settings: Any) -> Run:
        """Run the plain SDK tap."""
        config = {"api_url": self._url(load), "windows": load.windows}
        return self._tap("benchmarks.plain_tap", config | settings, load, catalog)

    def typed(self, load: Load) -> Run:
        """Run typed decoding and encoding without the SDK."""
        url, windows = self.url(load), f"{load.windows}"
        return run("benchmarks.limit", "typed", url, windows, records=load.total)

    def script(self, load: Load) -> Run:
        """Run a script that is written by hand."""
        url, windows = self.url(load), f"{load.windows}"
        return run("benchmarks.peer_script", url, windows, records=load.total)

    def dlt(self, load: Load) -> Run:
        """Run dlt as far as its files of what it extracts."""
        with TemporaryDirectory(dir=self._folder) as folder:
            arguments = ("benchmarks.peer_dlt", "extract", folder, self.url(load))
            return run(*arguments, f"{load.windows}", python=executable("peers"))

    def airbyte(self, load: Load) -> Run:
        """Run a manifest by airbyte-cdk."""
        with TemporaryDirectory(dir=self._folder) as folder:
            arguments = ("benchmarks.peer_airbyte", folder, self.url(load), f"{load.windows}")
            return run(*arguments, records=load.total, python=executable("peers"))

    def reading(self, load: Load) -> Run:
        """Fetch the answers and drop them."""
        return run("benchmarks.limit", "reading", self.url(load), f"{load.windows}")

    def half_deselected(self, module: str) -> str:
        """Write a catalog in which every second property but the keys is deselected.

        Args:
            module: Which tap's catalog.

        Returns:
            Path of the file.
        """
        config = self.file({"api_url": "http://127.0.0.1", "api_token": "benchmark"})
        if module == "tap_calltouch":
            config = self.file({"api_token": "benchmark", "start_date": f"{DAY}"})
        found = subprocess.run(
            [sys.executable, "-m", module, "--discover", "--config", config],
            check=True,
            capture_output=True,
        )
        catalog = json.loads(found.stdout)
        (stream,) = (item for item in catalog["streams"] if item["stream"] == "requests")
        catalog["streams"] = [stream]
        properties = [
            entry
            for entry in stream["metadata"]
            if "properties" in entry["breadcrumb"][-2:-1]
            and entry["breadcrumb"][-1] not in {"siteId", "requestId", "date"}
        ]
        for entry in sorted(properties, key=lambda entry: [*entry["breadcrumb"]])[::2]:
            entry["metadata"]["selected"] = False
        return self.file(catalog)

    def batched(self, start: Callable[..., Run], load: Load) -> Run:
        """Run a tap that writes BATCH files, and count the records in them.

        Args:
            start: Runs the tap.
            load: What to load.

        Returns:
            What it took; bytes and records are those of the files.

        Raises:
            FailedRunError: If the number of records is not the right one.
        """
        with TemporaryDirectory(dir=self._folder) as name:
            batch_config = {
                "encoding": {"format": "jsonl", "compression": "gzip"},
                "storage": {"root": Path(name).as_uri()},
            }
            took = start(load, batch_config=batch_config)
            written = records = 0
            for path in Path(name).iterdir():
                written += path.stat().st_size
                with gzip.open(path) as lines:
                    records += sum(1 for _ in lines)
        if records != load.total:
            msg = f"BATCH files hold {records} records instead of {load.total}"
            raise FailedRunError(msg)
        return took._replace(written=written, records=records)

    def _tap(self, module: str, config: dict[str, Any], load: Load, catalog: str) -> Run:
        arguments = [module, "--config", self.file(config)]
        if catalog:
            arguments += ["--catalog", catalog]
        return run(*arguments, records=0 if "batch_config" in config else load.total)

    def file(self, content: dict[str, Any]) -> str:
        """Write a JSON file.

        Args:
            content: What is in it.

        Returns:
            Its path.
        """
        self._files += 1
        path = self._folder / f"{self._files}.json"
        path.write_text(json.dumps(content), encoding="utf-8")
        return str(path)

    def url(self, load: Load) -> str:
        """Return the URL of an answer."""
        return f"{self._url(load)}/requests"

    def _url(self, load: Load) -> str:
        base = f"http://127.0.0.1:{self._port}/{load.kind}/{load.records}"
        url = f"{base}/{load.latency}/{load.encoding}"
        if url not in self._ready:  # bodies are made beforehand
            self._ready.add(url)
            with urlopen(f"{base}/0/{load.encoding}/requests", timeout=120) as answer:  # noqa: S310
                while answer.read(1 << 20):
                    pass
        return url


@contextmanager
def serve() -> Iterator[Taps]:
    """Start the server, and end it.

    Yields:
        The taps that read from it.
    """
    with (
        TemporaryDirectory() as folder,
        subprocess.Popen(
            [sys.executable, "-m", "benchmarks.server"], stdout=subprocess.PIPE, text=True
        ) as server,
    ):
        try:
            assert server.stdout
            yield Taps(int(server.stdout.readline()), Path(folder))
        finally:
            server.terminate()
