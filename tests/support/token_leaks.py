"""Looks for the token in everything that the tap writes, in any form and at any log level."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

from tests.support.tap import TOKEN

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.tap import Run

# The log as users see it on standard error, and all of it in two files: as text and as JSON.
_LOG_CONFIG = """
version: 1
disable_existing_loggers: false
formatters:
  json: {"()": singer_sdk.logging.StructuredFormatter}
  text: {"()": singer_sdk.logging.ConsoleFormatter}
handlers:
  seen: {class: logging.StreamHandler, formatter: text, level: INFO, stream: "ext://sys.stderr"}
  json: {class: logging.FileHandler, formatter: json, filename: FOLDER/log.json}
  text: {class: logging.FileHandler, formatter: text, filename: FOLDER/log.txt}
root: {level: DEBUG, handlers: [seen, json, text]}
"""


def log_everything(folder: Path) -> dict[str, str]:
    """Return the environment for a run whose whole log goes into files of a folder."""
    path = folder / "logging.yaml"
    path.write_text(_LOG_CONFIG.replace("FOLDER", str(folder)), encoding="utf-8")
    return {"SINGER_SDK_LOG_CONFIG": str(path)}


def check_log(run: Run, folder: Path) -> None:
    """Check that nothing that a run wrote holds the token.

    Args:
        run: The run.
        folder: That of `log_everything`.
    """
    text, structured = ((folder / f"log.{kind}").read_bytes() for kind in ("txt", "json"))
    assert b"| DEBUG " in text
    assert b'"level":"debug"' in structured
    for written in (run.stdout, run.stderr.encode(), text, structured):
        assert is_hidden(TOKEN, written)


def is_hidden(token: str, written: bytes) -> bool:
    """Return whether bytes hold the token in no form that a URL or a log can give it."""
    texts = {token, quote(token), quote(token, safe=""), quote_plus(token)}
    texts |= {json.dumps(text)[1:-1] for text in texts} | {text.lower() for text in texts}
    return not any(text.encode() in form for text in texts for form in (written, written.lower()))
