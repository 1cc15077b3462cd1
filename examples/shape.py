"""Print the shape of one answer of the Calltouch API: names of keys and JSON types, never a value.

Its output holds no personal data and no token, so it can be pasted into an issue:

    export TAP_CALLTOUCH_API_TOKEN=...
    python shape.py /101/orders-diary/orders dateFrom=01/03/2026 dateTo=01/03/2026 page=1 limit=1000

Needs `requests`. Asks once, which costs the points of one API call. Names that may be data, such as
those of `attrs`, are printed as `*`.
"""  # noqa: INP001 - a script to copy

from __future__ import annotations

import os
import re
import sys
from typing import Any

import requests

API = "https://api.calltouch.ru/calls-service/RestAPI"
TYPES = {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null"}
PLAIN = re.compile("[A-Za-z_]{1,40}[0-9]{0,2}")
FREE = re.compile(r".*\.(attrs|\*)(\[\])*")


def main() -> int:
    """Ask, print, and return an exit status: 0 for an answer of JSON with the status 200."""
    token = os.environ.get("TAP_CALLTOUCH_API_TOKEN", "").strip()
    if not token or len(sys.argv) < 2 or not all("=" in pair for pair in sys.argv[2:]):
        print(__doc__)
        return 2
    path, *pairs = sys.argv[1:]
    params = dict(pair.split("=", 1) for pair in pairs)
    answer = requests.get(
        os.environ.get("TAP_CALLTOUCH_API_URL", API).rstrip("/") + "/" + path.lstrip("/"),
        params={**params, "clientApiId": token},
        allow_redirects=False,  # unknown paths lead to an HTML page
        timeout=300,
    )
    kind = re.match("[a-z]+/[a-z0-9.+-]+", answer.headers.get("Content-Type", ""))
    print(f"HTTP {answer.status_code}, {kind[0] if kind else 'no type'}")
    try:
        value = answer.json()
    except ValueError:
        print("not JSON")
        return 1
    shape: dict[str, set[str]] = {}
    add_types(value, "answer", shape)
    for name, types in shape.items():
        print(f"{name}: {', '.join(sorted(types))}")
    return 0 if answer.status_code == 200 else 1


def add_types(value: Any, name: str, shape: dict[str, set[str]]) -> None:
    """Add the JSON types of a value, and of what is in it, to what is known by name."""
    types = shape.setdefault(name, set())
    if isinstance(value, dict):
        types.add("object")
        for key, inner in value.items():
            shown = key if PLAIN.fullmatch(key) and not FREE.fullmatch(name) else "*"
            add_types(inner, f"{name}.{shown}", shape)
    elif isinstance(value, list):
        types.add("array")
        for inner in value:
            add_types(inner, f"{name}[]", shape)
    else:
        types.add(TYPES[type(value)])


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Exception as error:  # noqa: BLE001  (its text and its traceback hold the token)
        sys.exit(f"no answer: {type(error).__name__}")
