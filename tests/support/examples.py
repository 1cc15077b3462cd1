"""What the tests of both examples need: their Meltano project, and what it loaded."""

from __future__ import annotations

from datetime import timezone
from typing import TYPE_CHECKING, Any

import psycopg
import yaml
from psycopg.rows import dict_row

from tests.support.meltano_project import BIN, POSTGRES, ROOT, install, without_nulls
from tests.support.tap import FLAGS

if TYPE_CHECKING:
    from pathlib import Path

EXAMPLES = ROOT / "examples"
#: What the page has one do first: load a day.
FIRST_LOAD = ["meltano", "el", "--state-id=calltouch-first", "tap-calltouch", "target-postgres"]
FIRST_LOAD_SETTINGS = {
    "TAP_CALLTOUCH_SITE_IDS": "[101]",
    "TAP_CALLTOUCH_START_DATE": "2024-01-01",
    "TAP_CALLTOUCH_END_DATE": "2024-01-01",
}


def meltano_project(folder: Path) -> Path:
    """Write the examples' Meltano project, with this checkout's tap and the target installed.

    Args:
        folder: A folder that does not exist yet.

    Returns:
        The folder.
    """
    project = yaml.safe_load((EXAMPLES / "meltano.yml").read_text(encoding="utf-8"))
    (tap,) = project["plugins"]["extractors"]
    del tap["pip_url"]
    tap["executable"] = str(BIN / "tap-calltouch")
    tap["config"] = dict.fromkeys(FLAGS, True)
    (target,) = project["plugins"]["loaders"]
    assert target.pop("pip_url") == POSTGRES.pip_url
    target["executable"] = str(install(POSTGRES) / "venv" / "bin" / POSTGRES.name)
    folder.mkdir()
    (folder / "meltano.yml").write_text(yaml.safe_dump(project), encoding="utf-8")
    return folder


def requests_in(database: str) -> dict[tuple[int, int], dict[str, Any]]:
    """Return the requests that were loaded as the journal would have them, by key.

    Args:
        database: The address of the database that the target loaded into.

    Returns:
        The fields that are not null, without the target's own.
    """
    with psycopg.connect(database, row_factory=dict_row) as connection:
        rows = connection.execute("select * from tap_calltouch.requests").fetchall()
    found = {}
    for row in rows:
        row["date"] = row["date"].replace(tzinfo=timezone.utc).isoformat(timespec="milliseconds")
        values = {name: value for name, value in row.items() if not name.startswith("_sdc")}
        found[row["siteId"], row["requestId"]] = without_nulls(values)
    assert len(found) == len(rows)
    return found
