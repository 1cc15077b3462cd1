"""Reads a state: which bookmarks in it are ours, and which state must be refused. Pure."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta, timezone
from logging import INFO, WARNING
from typing import TYPE_CHECKING, Any, NoReturn
from zoneinfo import ZoneInfo

from tap_calltouch.config.files import InputError
from tap_calltouch.instants import parse_instant

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

State = dict[str, Any]

_BOOKMARK = "replication_key_value"
# What the SDK or an older version may have put beside a bookmark.
_KNOWN = {
    _BOOKMARK,
    "replication_key",
    "partitions",
    "progress_markers",
    "replication_key_signpost",
    "starting_replication_value",
}
_SITE = re.compile(r"\s*\d{1,19}\s*")
# `start_date` may be far too early, and bookmarks begin there.
_FIRST = datetime(1900, 1, 1, tzinfo=timezone.utc)
_SLACK = timedelta(days=366)  # a clock may be wrong, but not by more than a year


def read_state(value: Any, streams: Mapping[str, str], log: Callable[[int, str], None]) -> State:
    """Read a state from wherever it was kept.

    Args:
        value: Any JSON value.
        streams: The replication key of each stream, by name.
        log: Called with the level and the text of what the user should know.

    Returns:
        A state that this tap can go on from, with `bookmarks` of its streams.

    Raises:
        InputError: If it is not empty and not one of this tap: to start over is for the user to
            decide.
    """
    state = _unwrap(value, log)
    if not state:
        return {}
    bookmarks = state.get("bookmarks")
    if not isinstance(bookmarks, dict) or (bookmarks and not bookmarks.keys() & streams.keys()):
        _refuse(f"it has no `bookmarks` of {' or '.join(streams)}")
    read = dict(bookmarks)
    for name, entry in bookmarks.items():
        partitions = entry.get("partitions", []) if isinstance(entry, dict) else None
        if not isinstance(partitions, list):
            _refuse(f"`bookmarks.{name}` must be an object")
        if name in streams:
            read[name] = _read_stream(name, entry, streams[name], log)
        elif not all(map(_is_entry, [entry, *partitions])):  # the SDK looks into these too
            _refuse(f"`bookmarks.{name}` must be an object")
    return {"bookmarks": read}


def _unwrap(value: Any, log: Callable[[int, str], None]) -> State:  # noqa: RET503 - _refuse does not return
    match value:
        case {"singer_state": inner}:
            log(INFO, "Using the state inside `singer_state`, as Meltano keeps it.")
            return _unwrap(inner, log)
        case {"type": "STATE", "value": inner}:
            log(INFO, "Using the state inside a STATE message.")
            return _unwrap(inner, log)
        case dict():
            return value
        case _:
            _refuse("it is not a JSON object")


def _is_entry(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("progress_markers", {}), dict)


def _read_stream(name: str, entry: State, key: str, log: Callable[[int, str], None]) -> State:
    own = {**_read_bookmark(name, entry, key)}
    if "partitions" in entry:
        by_site: dict[int, State] = {}
        for partition in entry["partitions"]:
            site = _read_site(name, partition)
            read = {**_read_bookmark(name, partition, key), "context": {"siteId": site}}
            if site in by_site:
                log(
                    WARNING,
                    f"The state has two bookmarks of stream {name}, site {site}; "
                    "the earlier one counts.",
                )
                read = min(by_site[site], read, key=_instant_of)
            by_site[site] = read
        own["partitions"] = list(by_site.values())
    return own


def _read_site(name: str, partition: Any) -> int:  # noqa: RET503 - _refuse does not return
    match partition:
        case {"context": {"siteId": int() | str() as site}} if _SITE.fullmatch(str(site)):
            return int(site)
        case _:
            _refuse(f"each partition of `bookmarks.{name}` needs a `context` with a `siteId`")


def _read_bookmark(name: str, entry: State, key: str) -> State:
    if not _is_entry(entry):
        _refuse(f"the `progress_markers` in `bookmarks.{name}` must be an object")
    found = entry.get("replication_key") or key
    if found != key:
        _refuse(f"`bookmarks.{name}` is of the replication key {found!r}, not {key!r}")
    if not entry.keys() & _KNOWN and entry.keys() - {"context"}:
        _refuse(f"`bookmarks.{name}` has no `{_BOOKMARK}`")
    if entry.get(_BOOKMARK) is None:
        return entry
    now = datetime.now(timezone.utc)
    # The SDK reads numbers that are not integers as Decimal.
    shown = json.dumps(entry[_BOOKMARK], default=float)[:60]
    try:
        instant = _instant_of(entry)
    except (ValueError, AttributeError, OverflowError):
        instant = datetime.min.replace(tzinfo=timezone.utc)
    if instant < _FIRST:
        _refuse(f"the `{_BOOKMARK}` {shown} in `bookmarks.{name}` is not a usable date-time")
    if instant > now + _SLACK:
        msg = (
            f"The bookmark {shown} of stream {name} lies ahead of this machine's clock, which says "
            f"{now:%Y-%m-%d %H:%M} UTC. Set the clock, or correct the bookmark."
        )
        raise InputError(msg)
    return entry


def _instant_of(entry: State) -> datetime:
    value = entry.get(_BOOKMARK)
    if value is None:
        return datetime.min.replace(tzinfo=timezone.utc)
    return parse_instant(value, ZoneInfo("UTC"))


def _refuse(problem: str) -> NoReturn:
    msg = (
        f"The state is not one of tap-calltouch: {problem}. Correct it, or remove it to load "
        "everything again from `start_date`."
    )
    raise InputError(msg)
