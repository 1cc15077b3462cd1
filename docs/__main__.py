"""Regenerates the generated parts of files: `python -m docs`."""

from __future__ import annotations

import argparse
from pathlib import Path

from docs.plugin import write_to_hub
from docs.render import ROOT, render

parser = argparse.ArgumentParser(prog="python -m docs", description=__doc__)
parser.add_argument(
    "--hub",
    type=Path,
    metavar="FOLDER",
    help="add the plugin to this checkout of Meltano Hub",
)
if hub := parser.parse_args().hub:
    write_to_hub(hub)
else:
    for name, text in render().items():
        (ROOT / name).write_text(text, encoding="utf-8")
