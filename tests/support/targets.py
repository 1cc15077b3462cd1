"""The targets that README.md names. Each row is proved by the test whose name stands in it."""

from __future__ import annotations

from typing import Literal, NamedTuple


class Target(NamedTuple):
    """A row of the table.

    Attributes:
        package: Its name on PyPI.
        version: The version that was tested.
        proof: Loaded from the API to its end, or only the columns that it makes checked.
        test: The file and the name of the test.
        notes: What is to be known before using it, its faults too.
    """

    package: str
    version: str
    proof: Literal["loaded", "types checked", "broken"]
    test: str
    notes: str


TARGETS = (
    Target(
        "meltanolabs-target-postgres",
        "0.8.1",
        "loaded",
        "test_postgres.py::test_loads_all_then_what_is_new_or_changed_then_all_again",
        "Objects are `jsonb`, arrays `jsonb[]`; timestamps are UTC without a zone. Goes on where "
        "it was after the tap was killed. Emits state at the end of a run or after five minutes.",
    ),
    Target(
        "target-jsonl",
        "0.1.4",
        "loaded",
        "test_files.py::test_target_jsonl_writes_every_field",
        "Appends: a request that is loaded again has two lines, and the last one counts. Keeps no "
        "state if the tap dies.",
    ),
    Target(
        "meltanolabs-target-csv",
        "0.5.0",
        "loaded",
        "test_files.py::test_target_csv_writes_every_field_of_a_flat_table",
        "With `flattening_enabled` only: it writes objects and arrays as Python text, not JSON.",
    ),
    Target(
        "plinxore-target-s3",
        "0.1.7",
        "loaded",
        "test_files.py::test_target_s3_writes_every_field_of_a_flat_table_as_parquet",
        "Parquet in a bucket (tested on a local one). With `flattening_enabled` only: it cannot "
        "write `orders[].currentAmount`. Cuts times to seconds.",
    ),
    Target(
        "meltanolabs-target-snowflake",
        "0.20.4",
        "types checked",
        "test_warehouses.py::test_snowflake_makes_a_column_of_the_right_type_for_every_field",
        "Its own table, made on fakesnow, which has no user stages, so that nothing is loaded. "
        "Names are upper case, objects and arrays `VARIANT`.",
    ),
    Target(
        "z3-target-bigquery",
        "0.7.2",
        "types checked",
        "test_warehouses.py::test_bigquery_makes_a_column_of_the_right_type_for_every_field",
        "Needs `setuptools<81` beside it in `pip_url`. `denormalized: true` makes records of "
        "objects and repeated records of arrays; otherwise there is one JSON column and a view.",
    ),
    Target(
        "shaped-target-clickhouse",
        "0.2.5",
        "types checked",
        "test_warehouses.py::test_clickhouse_makes_a_column_of_the_right_type_for_every_field",
        "Its own table, made in chDB. Needs `setuptools<81` beside it in `pip_url`. Times lose "
        "their milliseconds, objects and arrays are text, missing texts become empty ones, and a "
        "request that is loaded again is a second row until `engine_type` is "
        "`ReplacingMergeTree`.",
    ),
    Target(
        "target-duckdb",
        "0.8.0",
        "broken",
        "test_warehouses.py::test_target_duckdb_is_broken",
        "Loads nothing with DuckDB 2, and loses the first row of a batch with older ones. Use "
        "`target-jsonl` and the dbt models.",
    ),
)
