"""Brings the generated parts of files up to date: `python -m docs`."""

from __future__ import annotations

from docs.render import ROOT, render

for name, text in render().items():
    (ROOT / name).write_text(text, encoding="utf-8")
