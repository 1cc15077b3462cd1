"""The same journal by dlt: `python -m benchmarks.peer_dlt STEP FOLDER URL WINDOWS`.

STEP is `extract`, or the name of a destination to load into: `postgres`, `duckdb` or `filesystem`.
With `-nested` behind it arrays are kept as JSON in one table; otherwise dlt makes a table of each.
Credentials come from the environment, as dlt has it; so does the name of the schema, `DATASET`.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import dlt
import requests

if TYPE_CHECKING:
    from collections.abc import Iterator


def main() -> None:
    """Extract, or load by key."""
    step, folder, url, windows = sys.argv[1:]
    destination, _, is_nested = step.partition("-")

    def journal() -> Iterator[list[dict[str, Any]]]:
        for _ in range(int(windows)):
            yield requests.get(url, timeout=60).json()

    resource = dlt.resource(
        journal,
        name="requests",
        primary_key=("siteId", "requestId"),
        write_disposition="append" if destination == "filesystem" else "merge",
        max_table_nesting=0 if is_nested else None,
    )
    is_load = destination != "extract"
    pipeline = dlt.pipeline(
        "calltouch",
        pipelines_dir=folder,
        destination=destination if is_load else None,
        dataset_name=os.environ.get("DATASET"),
    )
    if is_load:
        pipeline.run(resource, loader_file_format=_FORMATS[destination])
    else:
        pipeline.extract(resource)


# Of the formats that a destination takes, one that is loaded in bulk.
_FORMATS = {"postgres": "csv", "duckdb": "parquet", "filesystem": "parquet"}


if __name__ == "__main__":
    main()
