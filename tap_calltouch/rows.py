"""Which rows of an answer are written. Pure: no client, so that nothing can be asked again here."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from singer_sdk.exceptions import FatalAPIError

from tap_calltouch.api.extents import OLDEST_TIMESTAMP
from tap_calltouch.output.progress import count
from tap_calltouch.records.cleaning import UnusableRecordError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tap_calltouch.api.answers import Answer
    from tap_calltouch.api.extents import Dates
    from tap_calltouch.records.decoding import RecordDecoder

_ANCIENT = "dated before 2000"


class WindowFilter:
    """Picks the rows of one window that were asked for.

    Attributes:
        rows: Rows by what became of them: `written`, or why they are left out.
    """

    def __init__(
        self,
        site: int | None,
        label: str,
        *,
        wanted: Dates,
        nearby: Dates,
        warn: Callable[[str, str], None],
    ) -> None:
        """Prepare.

        Args:
            site: The site that was asked for; None for all.
            label: Names stream, site and window in messages.
            wanted: The dates that the user wants.
            nearby: The dates that rows of the window may have.
            warn: Called with the kind of a warning and its text.
        """
        self.rows: Counter[str] = Counter()
        self._site = site
        self._label = label
        self._nearby = nearby
        self._dates = max(wanted[0], nearby[0]), min(wanted[1], nearby[1])
        self._warn = warn
        self._seen: set[tuple[int, int]] = set()

    def records(self, decoder: RecordDecoder, answer: Answer) -> Iterator[Any]:
        """Yield the records that were asked for, each once.

        Raises:
            FatalAPIError: If a record cannot be used.
        """
        (low, high), site_id, may_repeat = self._dates, self._site, answer.may_repeat
        written = 0
        try:
            for (site, key, timestamp), record in decoder.records(answer.arrays()):
                # Spares the usual record a call of `_is_wanted`.
                if (
                    not may_repeat
                    and low <= timestamp < high
                    and (site_id is None or site == site_id)
                ) or self._is_wanted(site, key, timestamp):
                    written += 1
                    yield record
        except UnusableRecordError as error:
            hint = " Set `site_ids`." if "`siteId`" in str(error) else ""
            msg = f"{self._label}: {error}.{hint}"
            raise FatalAPIError(msg) from None
        finally:
            self.rows["written"] = written
        if self.rows[_ANCIENT] and self.rows[_ANCIENT] == answer.count:
            raise FatalAPIError(self._wrong_unit(decoder, answer))

    def _is_wanted(self, site: int, key: int, timestamp: str) -> bool:
        """Return whether a record was asked for and is new; count it if not."""
        if timestamp < OLDEST_TIMESTAMP:
            return self._leave_out(_ANCIENT, "that are dated before 2000")
        if self._site is not None and site != self._site:
            return self._leave_out("of other sites", "of other sites")
        if not self._nearby[0] <= timestamp < self._nearby[1]:
            return self._leave_out("of other dates", "that are dated outside the window")
        if not self._dates[0] <= timestamp < self._dates[1]:
            return self._leave_out("outside start_date and end_date")
        if (site, key) in self._seen:
            return self._leave_out("came before")
        self._seen.add((site, key))
        return True

    def _leave_out(self, reason: str, warning: str = "") -> bool:
        self.rows[reason] += 1
        if warning:
            text = f"{self._label}: the answer holds records {warning}, which are left out."
            self._warn(reason, text)
        return False

    def _wrong_unit(self, decoder: RecordDecoder, answer: Answer) -> str:
        timestamps = sorted(timestamp for (*_, timestamp), _ in decoder.records(answer.arrays()))
        return (
            f"{self._label}: the records are dated from {timestamps[0]} to {timestamps[-1]}, "
            "before Calltouch existed. The API seems to count in another unit now."
        )


def describe_sample(records: list[dict[str, Any]], schema: dict[str, Any], key: str) -> str:
    """Return in words what a test of the connection brought: records of one day."""
    if not records:
        return (
            "the API answered, but without records for that day. Check `site_ids`, `start_date`, "
            "`end_date` and the filters, or whether there was anything on that day"
        )
    dates = sorted(record[key] for record in records if record.get(key))
    dated = f", from {dates[0]} to {dates[-1]}" if dates else ""
    parts = [
        name
        for name, field in schema["properties"].items()
        if {"array", "object"} & set(field["type"])
    ]
    filled = [name for name in parts if any(record.get(name) for record in records)]
    empty = [name for name in parts if name not in filled]
    return (
        f"{count(len(records), 'record')} received{dated}. "
        f"Filled in some: {', '.join(filled) or 'none'}. "
        f"Empty in all: {', '.join(empty) or 'none'}"
    )
