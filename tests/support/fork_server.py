"""A process that has imported the tap, and forks for each run of it.

Imports are most of what a short run costs, and the tests run the tap hundreds of times. What is
forked is a process like any other: it has its own id, signals, standard streams, environment and
working directory, and it ends as any does: threads are waited for, exit handlers run, streams are
flushed. Only the last step is left out, in which the interpreter takes its modules apart.

This process has no threads, so it can be forked safely. Each message on its socket is a `Request`;
it ends when the other side closes the socket.
"""

from __future__ import annotations

import atexit
import gc
import json
import logging
import os
import pkgutil
import select
import signal
import socket
import sys
import time
from contextlib import suppress
from importlib import import_module
from importlib.metadata import version
from typing import NamedTuple

import tap_calltouch


class Request(NamedTuple):
    """The file descriptors for a run of the tap.

    Attributes:
        command: Where to read arguments, environment and working directory, as JSON.
        stdout: The tap's standard output.
        stderr: Its standard error.
        status: Where to write its process id, and its exit code when it has ended. Each is a
            number of four bytes; the exit code is negative if a signal killed the tap.
    """

    command: int
    stdout: int
    stderr: int
    status: int


def serve(requests: socket.socket) -> Request:
    """Fork for each request. Return only in a process that is to become the tap."""
    taps: dict[int, int] = {}  # where to report the exit code of each
    ended, signalled = os.pipe()
    os.set_blocking(signalled, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)  # else nothing is written to the pipe
    signal.set_wakeup_fd(signalled, warn_on_full_buffer=False)
    while True:
        ready, _, _ = select.select([requests, ended], [], [])
        if ended in ready:
            os.read(ended, 1024)
            collect(taps, os.WNOHANG)
        if requests not in ready:
            continue
        message, descriptors, _, _ = socket.recv_fds(requests, 1, len(Request._fields))
        if not message:
            collect(taps)
            sys.exit()
        request = Request(*descriptors)
        tap = os.fork()
        if tap == 0:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            requests.close()
            for descriptor in (ended, signalled, *taps.values()):
                os.close(descriptor)
            return request
        taps[tap] = request.status
        report(request.status, tap)
        for descriptor in (request.command, request.stdout, request.stderr):
            os.close(descriptor)


def collect(taps: dict[int, int], options: int = 0) -> None:
    """Report the exit codes of taps that have ended; without options wait for all of them."""
    while taps:
        tap, status = os.waitpid(-1, options)
        if tap == 0:
            return
        descriptor = taps.pop(tap)
        report(descriptor, os.waitstatus_to_exitcode(status))
        os.close(descriptor)


def report(status: int, number: int) -> None:
    """Write a number, unless nobody is there to read it."""
    with suppress(BrokenPipeError):
        os.write(status, number.to_bytes(4, sys.byteorder, signed=True))


def become(request: Request) -> None:
    """Take over the streams, the arguments, the environment and the directory of a request."""
    with open(request.command, encoding="utf-8") as file:  # noqa: PTH123 - a descriptor
        command = json.load(file)
    os.dup2(request.stdout, 1)
    os.dup2(request.stderr, 2)
    for descriptor in request[1:]:
        os.close(descriptor)
    sys.argv[1:] = command["arguments"]
    os.environ.clear()
    os.environ.update(command["environment"])
    os.chdir(command["directory"])
    signal.signal(signal.SIGINT, signal.default_int_handler)


def prepare() -> None:
    """Have the tap wait little between tries, and do what a test asks for by a variable.

    One logger of the SDK says at DEBUG of each of 300 fields that it is selected like its parent,
    which would take longer than all else that a short run does. It is silent.

    CLOCK_OFFSET makes the clock wrong by so many seconds. PACE_MARGIN is what the tap multiplies
    the time between two calls with.
    """
    from tap_calltouch.api import client  # noqa: PLC0415

    logging.getLogger("singer_sdk.singerlib.catalog").setLevel(logging.INFO)
    client.FIRST_WAIT_SECONDS = 0.02  # type: ignore[assignment]
    if margin := os.environ.get("PACE_MARGIN"):
        client.Pace.MARGIN = float(margin)
    if offset := os.environ.get("CLOCK_OFFSET"):
        right = time.time
        time.time = lambda: right() + float(offset)


def run(ending: dict[str, int]) -> None:
    """Run the tap, and say with which code to end."""
    from tap_calltouch.__main__ import main  # noqa: PLC0415

    try:
        main()
    except SystemExit as error:
        ending["code"] = error.code if isinstance(error.code, int) else int(bool(error.code))
        raise


def end(ending: dict[str, int]) -> None:
    """End this process at once."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(ending["code"])


if __name__ == "__main__":
    ending = {"code": 1}  # as after an error that nobody caught
    # The handler that is registered first runs last, so register it before imports do the same.
    atexit.register(end, ending)
    for module in pkgutil.iter_modules(tap_calltouch.__path__, "tap_calltouch."):
        import_module(module.name)
    # What a run imports when it needs it.
    for name in ("encodings.utf_8_sig", "netrc", "yaml"):
        import_module(name)
    version("singer-sdk")
    gc.freeze()  # a collection in a run would copy the pages that it shares
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    become(serve(socket.socket(fileno=int(sys.argv[1]))))
    prepare()
    run(ending)
