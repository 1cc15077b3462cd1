"""Nothing that a run of tests started is left when it has ended, however it ended."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.pages import ROOT

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux hands on orphans")

#: Leaves two processes, each in a session of its own: a child, and one whose parent has ended.
TEST = """
import subprocess, sys, time

LEAVE = (
    "import subprocess as s;"
    "print(s.Popen(['sleep', '600'], start_new_session=True, stdout=s.DEVNULL).pid)"
)


def test_nothing(capfd):
    child = subprocess.Popen(["sh", "-c", "trap '' TERM; sleep 600"], start_new_session=True)
    orphan = subprocess.run([sys.executable, "-c", LEAVE], stdout=subprocess.PIPE, check=True)
    with capfd.disabled():
        print("started", child.pid, int(orphan.stdout), flush=True)
    SLEEP
"""


def start(folder: Path, sleep: str) -> subprocess.Popen[str]:
    """Start pytest, which has to be told of the guard since it is no test of this folder."""
    test = folder / "test_nothing.py"
    test.write_text(TEST.replace("SLEEP", sleep))
    command = [sys.executable, "-m", "pytest", "-p", "tests.support.guard", str(test)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def left_by(process: subprocess.Popen[str], signum: int | None = None) -> tuple[int, list[str]]:
    """Wait for the processes that a test leaves, and return what of them outlives pytest."""
    with process:
        assert process.stdout
        line = next(line for line in process.stdout if "started" in line)
        pids = line.partition("started ")[2].split()
        assert all(Path("/proc", pid).exists() for pid in pids)
        if signum:
            process.send_signal(signum)
        process.stdout.read()
    return process.returncode, [pid for pid in pids if Path("/proc", pid).exists()]


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_nothing_is_left_when_a_signal_ends_the_tests(
    tmp_path: Path, signum: signal.Signals
) -> None:
    process = start(tmp_path, "time.sleep(600)")
    assert left_by(process, signum) == (pytest.ExitCode.INTERRUPTED, [])


def test_nothing_is_left_when_the_tests_end(tmp_path: Path) -> None:
    assert left_by(start(tmp_path, "assert True")) == (pytest.ExitCode.OK, [])
