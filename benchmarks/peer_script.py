"""A script as one writes it by hand: `python -m benchmarks.peer_script URL WINDOWS`."""

from __future__ import annotations

import json
import sys
from datetime import datetime, timezone

import requests


def main() -> None:
    """Print a RECORD message for each record, its instants as texts."""
    url, windows = sys.argv[1], int(sys.argv[2])
    for _ in range(windows):
        for record in requests.get(url, timeout=60).json():
            record["date"] = _timestamp(record["date"])
            for order in (*(record["orders"] or ()), record["order"]):
                if order and order["dateCreated"] is not None:
                    order["dateCreated"] = _timestamp(order["dateCreated"])
            message = {"type": "RECORD", "stream": "requests", "record": record}
            print(json.dumps(message, ensure_ascii=False, separators=(",", ":")))


def _timestamp(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, timezone.utc).isoformat()


if __name__ == "__main__":
    main()
