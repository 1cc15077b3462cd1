"""The streams as tables: what each journal of the API is called, keyed by and asked with."""

from __future__ import annotations

from singer_sdk import StreamSchema

from tap_calltouch.api.query import Journal
from tap_calltouch.config.settings import CALL_PARAMETERS, REQUEST_PARAMETERS
from tap_calltouch.journal import SCHEMAS, JournalStream


class Requests(JournalStream):
    """The requests journal (журнал заявок), by the vendor's page."""

    name = "requests"
    primary_keys = ("siteId", "requestId")
    replication_key = "date"
    schema = StreamSchema(SCHEMAS)
    journal = Journal(
        path="/requests",
        date_format="%m/%d/%Y",
        parameters=REQUEST_PARAMETERS,
        epoch_unit="ms",
        bind_to="request",
        has_numbers=True,
    )


class Calls(JournalStream):
    """The calls journal (журнал звонков), by what real answers show."""

    name = "calls"
    primary_keys = ("siteId", "callId")
    replication_key = "timestamp"
    schema = StreamSchema(SCHEMAS)
    journal = Journal(
        path="/{site}/calls-diary/calls",
        date_format="%d/%m/%Y",
        parameters=CALL_PARAMETERS,
        epoch_unit="s",
        bind_to="call",
        page_size=1000,
    )


STREAMS: tuple[type[Calls | Requests], ...] = (Calls, Requests)
