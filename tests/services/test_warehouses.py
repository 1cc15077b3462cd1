"""Warehouses that cannot run here: the tables that their targets make; and the table of targets."""

from __future__ import annotations

import json
import subprocess
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest

from sandbox import Journal, Sandbox
from tests.support import meltano_project
from tests.support.meltano_project import (
    BIGQUERY,
    DUCKDB,
    ROOT,
    SCHEMAS,
    SNOWFLAKE,
    Config,
    Loader,
    install,
    pipe,
    tap_config,
)
from tests.support.targets import TARGETS, Target

if TYPE_CHECKING:
    from pathlib import Path


LOADERS = [value for value in vars(meltano_project).values() if isinstance(value, Loader)]


def ask(loader: Loader, script: str) -> Any:
    """Run a script in a target's own environment: the schemas go in, JSON comes out."""
    result = subprocess.run(
        [install(loader) / "venv" / "bin" / "python", "-c", script],
        input=json.dumps(SCHEMAS),
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout.splitlines()[-1])


def kind(field: Config) -> str:
    """Say in one word what a field of the schema is."""
    if field.get("format") == "date-time":
        return "date-time"
    types = [field["type"]] if isinstance(field["type"], str) else field["type"]
    return next(name for name in types if name != "null")


def test_snowflake_makes_a_column_of_the_right_type_for_every_field() -> None:
    script = """
import io, json, sys
import fakesnow, snowflake.connector
from target_snowflake.target import TargetSnowflake

schemas = json.load(sys.stdin)
messages = [
    {"type": "SCHEMA", "stream": stream, "schema": schema,
     "key_properties": ["siteId", stream[:-1] + "Id"]}
    for stream, schema in schemas.items()
]
lines = "".join(json.dumps(message) + "\\n" for message in messages)
config = {"account": "account", "user": "user", "password": "password", "database": "DB",
          "default_target_schema": "CALLTOUCH", "add_record_metadata": False}
with fakesnow.patch():
    snowflake.connector.connect(database="DB")
    TargetSnowflake(config=config).listen(io.StringIO(lines))
    cursor = snowflake.connector.connect(database="DB", schema="CALLTOUCH").cursor()
    columns = {stream: cursor.execute(f"describe table {stream}").fetchall() for stream in schemas}
print()
print(json.dumps({
    stream: {column[0]: column[1] for column in found} for stream, found in columns.items()
}))
"""
    types = {
        "integer": "NUMBER(38,0)",
        "string": "VARCHAR(16777216)",
        "boolean": "BOOLEAN",
        "date-time": "TIMESTAMP_NTZ(9)",
        "object": "VARIANT",
        "array": "VARIANT",
    }
    tables = ask(SNOWFLAKE, script)
    assert tables == {
        stream: {name.upper(): types[kind(field)] for name, field in schema["properties"].items()}
        for stream, schema in SCHEMAS.items()
    }
    for stream, schema in SCHEMAS.items():
        assert len(tables[stream]) == len(schema["properties"])


def test_bigquery_makes_a_column_of_the_right_type_for_every_field() -> None:
    script = """
import json, sys
from target_bigquery.core import BigQueryTable, IngestionStrategy, SchemaResolverVersion

def describe(field):
    inner = {"fields": [describe(part) for part in field.fields]} if field.fields else {}
    return {"name": field.name, "mode": field.mode, "type": field.field_type.upper(), **inner}

answers = {}
for stream, schema in json.load(sys.stdin).items():
    answers[stream] = answer = {}
    for strategy in IngestionStrategy:
        for version in SchemaResolverVersion:
            table = BigQueryTable(name=stream, dataset="d", project="p", jsonschema=schema,
                                  ingestion_strategy=strategy, transforms={},
                                  schema_resolver_version=version)
            fields = [describe(field) for field in table.get_resolved_schema()]
            answer[f"{strategy.name} {version.value}"] = fields
            answer["view"] = table.schema_translator.generate_view_statement(table)
print(json.dumps(answers))
"""
    answers = ask(BIGQUERY, script)
    assert answers.keys() == SCHEMAS.keys()
    for stream, schema in SCHEMAS.items():
        answer = answers[stream]
        view = answer["view"]
        assert answer.keys() == {
            "FIXED 1",
            "FIXED 2",
            "DENORMALIZED 1",
            "DENORMALIZED 2",
            "view",
        }
        for version in (1, 2):
            assert answer[f"DENORMALIZED {version}"] == bigquery_fields(schema)
            data = answer[f"FIXED {version}"][0]
            assert (data["name"], data["type"]) == ("data", "JSON")
        for name, field in schema["properties"].items():
            if not {"object", "array"} & set(field["type"]):
                assert f"JSON_VALUE(data, '$.{name}')" in view
        assert "JSON_QUERY_ARRAY(data, '$.mapVisits')" in view
        # Faults of the view: free-form objects are taken for texts, and an object within an array
        # is looked for one level too high.
        assert "CAST(JSON_VALUE(data, '$.attrs') as JSON)" in view
    view = answers["requests"]["view"]
    assert "JSON_VALUE(data, '$.session.utmCampaign')" in view
    assert "'$.session.utmCampaign') as utmCampaign" in view
    assert "JSON_VALUE(orders__rows, '$.utmCampaign')" in view


def bigquery_fields(schema: Config) -> list[Config]:
    """Return the columns that a JSON Schema should become."""
    types = {"integer": "INTEGER", "string": "STRING", "boolean": "BOOLEAN", "number": "FLOAT"}
    types |= {"date-time": "TIMESTAMP", "object": "JSON"}
    columns = []
    for name, field in schema["properties"].items():
        repeated = kind(field) == "array"
        inner = field["items"] if repeated else field
        column: Config = {"name": name, "mode": "REPEATED" if repeated else "NULLABLE"}
        if inner.get("properties"):
            column |= {"type": "RECORD", "fields": bigquery_fields(inner)}
        else:
            column["type"] = types[kind(inner)]
        columns.append(column)
    return columns


def test_target_duckdb_is_broken(tmp_path: Path) -> None:
    """When this fails, the target has been mended: see whether it loads everything."""
    journal = Journal((101,), date(2024, 2, 1), date(2024, 2, 2), per_day=5, sample=False)
    config = {"filepath": str(tmp_path / "calltouch.duckdb"), "default_target_schema": "calltouch"}
    with Sandbox(journal) as sandbox:
        settings = tap_config(sandbox, site_ids=[101], end_date="2024-02-02")
        with pytest.raises(subprocess.CalledProcessError, match="target-duckdb"):
            pipe(tmp_path, DUCKDB, config, settings)


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.package)
def test_every_row_of_the_table_of_targets_is_proved(target: Target) -> None:
    file, name = target.test.split("::")
    assert f"\ndef {name}(" in (ROOT / "tests" / "services" / file).read_text(encoding="utf-8")
    wanted = f"{target.package}=={target.version}"
    assert [loader for loader in LOADERS if wanted in loader.pip_url.split()]
