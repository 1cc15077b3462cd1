"""What can be reached without the SDK: `python -m benchmarks.limit typed|reading URL WINDOWS`.

`typed` decodes each answer record by record into msgspec types and encodes RECORD messages of the
same content as this tap's; it checks nothing else, and holds a whole answer in memory. `reading`
fetches the answers and drops them.
"""

from __future__ import annotations

import json
import os
import sys
from datetime import datetime, timezone
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec
import requests

SCHEMA = Path(__file__).parent.parent / "schemas" / "requests.json"
BLOCK_SIZE = 128 * 1024
TYPES: dict[str, Any] = {"string": str, "integer": int, "number": float, "boolean": bool}


class _Message(msgspec.Struct, tag_field="type", tag="RECORD"):
    stream: str
    record: Any
    time_extracted: str


def _type(name: str, schema: dict[str, Any]) -> Any:
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"], "null"]
    kind = kinds[0]
    if schema.get("properties"):
        fields = [
            (key, _type(key, value) | None, None) for key, value in schema["properties"].items()
        ]
        return msgspec.defstruct(name, fields, gc=False)
    if kind == "object":
        return dict[str, _type(name, schema["additionalProperties"]) | None]  # type: ignore[misc]
    if kind == "array":
        return list[_type(name, schema["items"]) | None]  # type: ignore[misc]
    return int if schema.get("format") == "date-time" else TYPES[kind]


def _instant(milliseconds: int) -> str:
    minute, rest = divmod(milliseconds, 60_000)
    return f"{_minute(minute)}{rest // 1000:02}.{rest % 1000:03}+00:00"


@lru_cache(maxsize=4096)
def _minute(minute: int) -> str:
    return datetime.fromtimestamp(minute * 60, timezone.utc).isoformat()[:-8]


def _typed(url: str, windows: int) -> None:
    split = msgspec.json.Decoder(list[msgspec.Raw]).decode
    record_type = _type("Record", json.loads(SCHEMA.read_text(encoding="utf-8")))
    decode = msgspec.json.Decoder(record_type).decode
    encode_into = msgspec.json.Encoder().encode_into
    block = bytearray()
    for _ in range(windows):
        now = datetime.now(timezone.utc).isoformat()
        for raw in split(requests.get(url, timeout=60).content):
            record = decode(raw)
            record.date = _instant(record.date)
            for order in (*(record.orders or ()), record.order):
                if order and order.dateCreated is not None:
                    order.dateCreated = _instant(order.dateCreated)
            encode_into(_Message("requests", record, now), block, -1)
            block += b"\n"
            if len(block) >= BLOCK_SIZE:
                _write(block)
    _write(block)


def _write(block: bytearray) -> None:
    assert os.write(1, block) == len(block)
    block.clear()


def _reading(url: str, windows: int) -> None:
    for _ in range(windows):
        with requests.get(url, stream=True, timeout=60) as response:
            for _chunk in response.iter_content(1 << 16):
                pass


if __name__ == "__main__":
    {"typed": _typed, "reading": _reading}[sys.argv[1]](sys.argv[2], int(sys.argv[3]))
