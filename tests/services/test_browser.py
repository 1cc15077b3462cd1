"""The browser comes by itself where the system has none, or is named in one sentence."""

from __future__ import annotations

import io
import os
import socket
import subprocess
import sys
import threading
import zipfile
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from demo.browser import find_chromium
from tests.support.pages import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def get_browser(folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run `demo.browser` on a machine whose system has no browser."""
    return subprocess.run(
        [sys.executable, "-m", "demo.browser"],
        cwd=ROOT,
        env={**os.environ, "PATH": "", "PLAYWRIGHT_BROWSERS_PATH": str(folder), **variables},
        capture_output=True,
        text=True,
        check=False,
    )


@contextmanager
def download_host(browser: str) -> Iterator[str]:
    """Serve a browser as Playwright's host does: a program that runs the system's one."""
    name = "chrome-headless-shell"
    program = zipfile.ZipInfo(f"{name}-linux64/{name}")
    program.external_attr = 0o755 << 16
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(program, f'#!/bin/sh\nexec "{browser}" --headless "$@"\n')

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(file.getvalue())))
            self.end_headers()
            self.wfile.write(file.getvalue())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_browser_is_downloaded_where_the_system_has_none(tmp_path: Path) -> None:
    browser = find_chromium()
    if browser is None:  # then the real host is within reach
        found = get_browser(tmp_path)
    else:
        with download_host(browser) as host:
            found = get_browser(tmp_path, PLAYWRIGHT_DOWNLOAD_HOST=host)
    assert (found.returncode, found.stdout, found.stderr) == (0, "", "")
    assert list(tmp_path.glob("chromium_headless_shell-*"))


def test_browser_that_cannot_be_had_is_named_in_one_sentence(tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # and does not listen
        host = f"http://127.0.0.1:{closed.getsockname()[1]}"
        found = get_browser(tmp_path, PLAYWRIGHT_DOWNLOAD_HOST=host)
    assert (found.returncode, found.stdout) == (1, "")
    assert found.stderr == "Install Chromium, for example with: apt-get install chromium\n"
