"""Reads the columns of records that the tap needs for itself: site, id and date. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from tap_calltouch.instants import format_epoch_ms
from tap_calltouch.lenient import decode_leniently
from tap_calltouch.records.cleaning import Cleaner, UnusableRecordError, describe
from tap_calltouch.records.structs import UNFITTING, UNITS, Shape, struct_type

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: Site, id and timestamp of a record.
Key = tuple[int, int, str]


class KeyColumns(NamedTuple):
    """The columns that the tap itself needs, even if a catalog changes or drops them.

    Attributes:
        site: Name of the column with the site's id.
        key: Name of the column with the record's id within its site.
        instant: Name of the replication key.
    """

    site: str
    key: str
    instant: str

    @property
    def shape(self) -> Shape:
        """Their true types."""
        integer = Shape("integer")
        fields = {self.site: integer, self.key: integer, self.instant: Shape("instant")}
        return Shape("object", fields)


class KeyDecoder:
    """Decodes the key columns alone, for records whose schema has them in another form."""

    def __init__(self, columns: KeyColumns, unit: str, site: int | None) -> None:
        """Compile the columns.

        Args:
            columns: The columns.
            unit: What the API counts instants in: `ms` or `s`.
            site: The site of records that do not say theirs.
        """
        self._columns = columns
        self._unit = UNITS[unit]
        self._cleaner = Cleaner(unit)
        self._defaults = {} if site is None else {columns.site: site}
        record = struct_type(columns.shape, columns, self._defaults)
        self._decode = msgspec.json.Decoder(list[record], dec_hook=self._to_instant).decode  # type: ignore[valid-type]

    def keys(self, array: bytes) -> list[Key]:
        """Return the key of each record of a JSON array.

        Raises:
            UnusableRecordError: If something in it is not a record, or lacks a key.
        """
        try:
            return [*map(msgspec.structs.astuple, self._decode(array))]
        except UNFITTING:
            return [self._clean(item) for item in decode_leniently(array)]

    def _to_instant(self, _: Any, value: Any) -> str:
        return to_timestamp(value, self._unit)

    def _clean(self, item: Any) -> Key:
        record = clean_record(
            item, self._columns.shape, self._cleaner, self._defaults, self._columns
        )
        site, key, instant = record.values()
        return site, key, instant


def to_timestamp(value: Any, unit: int) -> str:
    """Format an epoch number of a record; called by msgspec.

    Raises:
        TypeError: If it is not an integer, so that msgspec says that the record does not fit.
    """
    if type(value) is int:
        return format_epoch_ms(value * unit)
    msg = "Expected an epoch number"
    raise TypeError(msg)


def clean_record(
    item: Any,
    shape: Shape,
    cleaner: Cleaner,
    defaults: Mapping[str, Any],
    required: Iterable[str],
) -> dict[str, Any]:
    """Fit an item of an answer to the shape of a record.

    Args:
        item: Any JSON value.
        shape: What the record should be.
        cleaner: Cleans its values.
        defaults: Values of columns that are null.
        required: Columns that must not be null.

    Raises:
        UnusableRecordError: If the item is not an object, or a required column stays null.
    """
    if not isinstance(item, dict):
        msg = "an item of the array is not an object"
        raise UnusableRecordError(msg)
    record = cleaner.clean_object(item, shape)
    record |= {name: value for name, value in defaults.items() if record[name] is None}
    for name in required:
        if record[name] is None:
            msg = f"a record has no usable `{name}` (found {describe(item.get(name))})"
            raise UnusableRecordError(msg)
    return record
