"""The same journal by airbyte-cdk: `python -m benchmarks.peer_airbyte FOLDER URL WINDOWS`.

A manifest without code, as a connector of its low-code kind. Answers are asked for as pages.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from airbyte_cdk.entrypoint import launch
from airbyte_cdk.models import ConfiguredAirbyteCatalogSerializer
from airbyte_cdk.sources.declarative.concurrent_declarative_source import (
    ConcurrentDeclarativeSource,
)

SCHEMA = Path(__file__).parent.parent / "schemas" / "requests.json"
KEYS = ["siteId", "requestId"]


def main() -> None:
    """Write a RECORD message for each record."""
    folder, url, windows = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    catalog = {
        "streams": [
            {
                "stream": {
                    "name": "requests",
                    "json_schema": schema,
                    "supported_sync_modes": ["full_refresh"],
                },
                "sync_mode": "full_refresh",
                "destination_sync_mode": "append",
                "primary_key": [[key] for key in KEYS],
            }
        ]
    }
    arguments = ["read"]
    for name, content in (("config", {}), ("catalog", catalog)):
        path = folder / f"{name}.json"
        path.write_text(json.dumps(content), encoding="utf-8")
        arguments += [f"--{name}", str(path)]
    source = ConcurrentDeclarativeSource(
        catalog=ConfiguredAirbyteCatalogSerializer.load(catalog),
        config={},
        state=[],
        source_config=_manifest(url, windows, schema),
    )
    launch(source, arguments)


def _manifest(url: str, windows: int, schema: dict[str, Any]) -> dict[str, Any]:
    stream = {
        "type": "DeclarativeStream",
        "name": "requests",
        "primary_key": KEYS,
        "schema_loader": {"type": "InlineSchemaLoader", "schema": schema},
        "retriever": {
            "type": "SimpleRetriever",
            "requester": {
                "type": "HttpRequester",
                "url_base": url,
                "path": "",
                "http_method": "GET",
            },
            "record_selector": {
                "type": "RecordSelector",
                "extractor": {"type": "DpathExtractor", "field_path": []},
            },
            "partition_router": {
                "type": "ListPartitionRouter",
                "values": [str(number) for number in range(windows)],
                "cursor_field": "window",
            },
        },
    }
    return {
        "version": "6.0.0",
        "type": "DeclarativeSource",
        "check": {"type": "CheckStream", "stream_names": ["requests"]},
        "streams": [stream],
        "spec": {
            "type": "Spec",
            "connection_specification": {"type": "object", "properties": {}},
        },
    }


if __name__ == "__main__":
    main()
