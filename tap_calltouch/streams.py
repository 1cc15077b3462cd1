"""The streams as tables: what each journal of the API is called, keyed by and asked with."""

from __future__ import annotations

from singer_sdk import StreamSchema

from tap_calltouch.journal import SCHEMAS, JournalStream
from tap_calltouch.reading import Journal
from tap_calltouch.settings import REQUEST_PARAMETERS


class Requests(JournalStream):
    """The requests journal (журнал заявок), by the vendor's page."""

    name = "requests"
    primary_keys = ("siteId", "requestId")
    replication_key = "date"
    schema = StreamSchema(SCHEMAS)
    journal = Journal(
        path="/requests",
        dates="%m/%d/%Y",
        parameters=REQUEST_PARAMETERS,
        unit="ms",
        own_date="request",
        has_numbers=True,
    )


STREAMS: tuple[type[JournalStream], ...] = (Requests,)
