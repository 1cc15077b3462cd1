"""A signal that ends a run of these tests ends Meltano, targets and databases, too."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.guard import descendants
from tests.support.pages import ROOT

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux hands on orphans")

TESTS = "tests/services/test_postgres.py"


def describe(pid: int) -> tuple[int, str, str]:
    """Return the id of a process, the time of its start and its name: no other has these three."""
    with suppress(FileNotFoundError, ProcessLookupError):
        name, _, fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")
        if not fields.startswith(" Z"):
            return pid, fields.split()[19], name.partition("(")[2]
    return pid, "", ""


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_nothing_is_left_when_a_signal_ends_the_tests(signum: signal.Signals) -> None:
    """Pytest and its workers started them, in sessions of their own and as daemons."""
    variables = {name: text for name, text in os.environ.items() if "PYTEST" not in name}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-n", "2", TESTS]
    started: set[tuple[int, str, str]] = set()
    with subprocess.Popen(
        command, cwd=ROOT, env=variables, stdout=subprocess.PIPE, text=True
    ) as process:
        while not {"postgres", "meltano", "target-postgres"} <= {name for _, _, name in started}:
            assert process.poll() is None
            started |= set(map(describe, descendants(process.pid)))
            time.sleep(0.1)
        process.send_signal(signum)
        while process.poll() is None:
            started |= set(map(describe, descendants(process.pid)))
            time.sleep(0.1)
        assert process.stdout
        output = process.stdout.read()
    assert process.returncode == pytest.ExitCode.INTERRUPTED, output
    assert [found for found in started if found[1] and describe(found[0]) == found] == []
