"""Ends what a run of the tests leaves running: a database, a scheduler, a tap.

Tests end what they start, unless a signal ends the tests. So pytest runs in a child of the process
that was started. On Linux that one becomes the parent of every process below whose own parent has
ended; so when pytest has ended, it knows what is left, and ends that.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from collections import defaultdict
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

#: How long pytest has to end after a signal, and then the processes that it left.
PYTEST_GRACE_SECONDS = 120
GRACE_SECONDS = 5
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def pytest_configure(config: pytest.Config) -> None:
    """Go on in a child that is looked after; pytest-xdist's workers are below one already."""
    if sys.platform == "linux" and not hasattr(config, "workerinput"):
        _go_on_in_a_child()


def descendants(parent: int) -> set[int]:
    """Return the ids of all processes below a process."""
    children = defaultdict(set)
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(FileNotFoundError, ProcessLookupError):
            # The name before it, in brackets, may hold anything.
            status, above = stat.read_text(errors="replace").rpartition(")")[2].split()[:2]
            if status != "Z":
                children[int(above)].add(int(stat.parent.name))
    found: set[int] = set()
    new = {parent}
    while new := set().union(*(children[above] for above in new)):
        found |= new
    return found


def _go_on_in_a_child() -> None:
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1)
    waited_for = {signal.SIGINT, signal.SIGTERM, signal.SIGALRM, signal.SIGCHLD}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, waited_for)
    child = os.fork()
    if child == 0:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGINT)
        libc.prctl(_PR_SET_CHILD_SUBREAPER, 0)
        signal.signal(signal.SIGINT, signal.default_int_handler)  # in the background, too
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return
    os._exit(_look_after(child, waited_for))


def _look_after(child: int, waited_for: set[signal.Signals]) -> int:
    """Wait for the end of pytest and end what is left. Return the exit code of pytest."""
    ended: dict[int, int] = {}
    while child not in ended:
        came = signal.sigwaitinfo(waited_for)
        if came.si_signo == signal.SIGCHLD:
            ended |= _reap()
        elif came.si_signo == signal.SIGALRM:
            os.kill(child, signal.SIGKILL)
        else:
            signal.alarm(PYTEST_GRACE_SECONDS)
            if came.si_code <= 0:  # sent to this process; a terminal sends it to both
                os.kill(child, signal.SIGINT)
    deadline = time.monotonic() + GRACE_SECONDS
    # Not until none is found: one whose parent ends while they are looked for may be missed.
    while _has_children():
        signum = signal.SIGTERM if time.monotonic() < deadline else signal.SIGKILL
        for process in descendants(os.getpid()):
            with suppress(ProcessLookupError):
                os.kill(process, signum)
        time.sleep(0.1)
        _reap()
    code = ended[child]
    return code if code >= 0 else 128 - code


def _has_children() -> bool:
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def _reap() -> dict[int, int]:
    """Return the exit codes of children that have ended."""
    ended = {}
    with suppress(ChildProcessError):
        while (found := os.waitpid(-1, os.WNOHANG))[0]:
            ended[found[0]] = os.waitstatus_to_exitcode(found[1])
    return ended
