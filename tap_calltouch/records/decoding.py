"""Answer bytes to clean records. Pure: no HTTP, no settings.

msgspec decodes and checks a block of records in one pass. Only what does not fit the schema goes
through a slower pass of its own, which keeps what can be kept.
"""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from tap_calltouch.instants import format_epoch_ms
from tap_calltouch.lenient import decode_leniently
from tap_calltouch.records.cleaning import Cleaner
from tap_calltouch.records.structs import UNITS, Instant, Shape, attributes, struct_type

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from tap_calltouch.records.cleaning import Changes
    from tap_calltouch.records.drift import Drift

_NUL = b"\\u0000"

_UNFITTING = (msgspec.DecodeError, UnicodeDecodeError, OverflowError, RecursionError)
_split_block = msgspec.json.Decoder(list[msgspec.Raw]).decode

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

    def __init__(self, columns: KeyColumns, unit: str, defaults: Mapping[str, Any]) -> None:
        self._columns = columns
        self._cleaner = Cleaner(unit)
        self._defaults = defaults

    def keys(self, array: bytes) -> Iterator[Key]:
        """Yield the key of each record of a JSON array.

        Raises:
            UnusableRecordError: If something in it is not a record, or lacks a key.
        """
        for item in decode_leniently(array):
            record = self._cleaner.clean_record(
                item, self._columns.shape, self._defaults, self._columns
            )
            site, key, instant = record.values()
            yield site, key, instant


class RecordDecoder:
    """Decodes answers into records of one shape."""

    def __init__(
        self, shape: Shape, columns: KeyColumns, unit: str, drift: Drift, site: int | None = None
    ) -> None:
        """Compile a shape.

        Args:
            shape: The shape of a record. What it does not list is dropped; what an answer lacks is
                null.
            columns: The columns that make a record usable.
            unit: What the API counts instants in: `ms` or `s`.
            drift: Where to count what was changed.
            site: The site of records that do not say theirs.
        """
        self._shape = shape
        self._is_typed = shape.is_typed  # looks at each field, so it is asked once
        self._unit = UNITS[unit]
        self._drift = drift
        self._cleaner = Cleaner(unit)
        self._drifting: frozenset[str] = frozenset()
        self._required: tuple[str, ...] = ()
        self._defaults = {} if site is None else {columns.site: site}
        self._read_keys: Callable[[bytes, list[Any]], Iterable[Key]]
        if self._is_typed and columns.shape.fields.items() <= shape.fields.items():
            self._required = columns
            names = attributes(shape)
            get = attrgetter(*(names[column] for column in columns))
            self._read_keys = lambda _, records: map(get, records)
        else:
            decoder = KeyDecoder(columns, unit, self._defaults)
            self._read_keys = lambda array, _: decoder.keys(array)
            # The catalog may want the site as a text.
            self._defaults = {
                name: cleaned
                for name, value in self._defaults.items()
                if name in shape.fields
                and (cleaned := Cleaner(unit).clean(value, shape.fields[name], name))
            }
            # To msgspec, null is anything too, but it must not stand for the default.
            self._drifting = frozenset(self._defaults)
        if self._is_typed:
            self._type = struct_type(shape)
            self._compile()

    def _compile(self) -> None:
        """Build the decoder, which leaves what has drifted to the cleaner."""
        drifting = struct_type(self._shape, self._required, self._defaults, self._drifting)
        records = list[drifting]  # type: ignore[valid-type]
        self._decode_array = msgspec.json.Decoder(records, dec_hook=self._decode_value).decode

    def _decode_value(self, python_type: Any, value: Any) -> Any:
        """Convert a value of a placeholder type. Passed to msgspec as `dec_hook`.

        Raises:
            TypeError: If the value does not fit, as msgspec wants it said.
        """
        if python_type is Instant:
            if type(value) is int:
                return format_epoch_ms(value * self._unit)
            raise TypeError
        cleaned = self._cleaner.clean(value, python_type.shape, python_type.path)
        if cleaned is None and python_type.path in {*self._required, *self._defaults}:
            raise TypeError
        is_scalar = not isinstance(cleaned, (dict, list))
        return cleaned if is_scalar else msgspec.convert(cleaned, python_type.fitting)

    def records(self, arrays: Iterable[bytes]) -> Iterator[tuple[Key, Any]]:
        """Decode the records of an answer.

        Args:
            arrays: JSON arrays, one after the other.

        Yields:
            Site, id and timestamp of one record after the other, each with the record: a struct,
            or a dict if msgspec has no type for it.

        Raises:
            UnusableRecordError: If something in it is not a record, or lacks what it must have.
        """
        for array in arrays:
            records = self._attempt(array)
            if records is None:
                records = self._decode_singly(array)
            yield from zip(self._read_keys(array, records), records, strict=True)

    def _attempt(self, array: bytes) -> list[Any] | None:
        """Decode records at once; None if something in them does not fit."""
        # `rfind` looks for the first byte, a backslash, which is rare; `find` for the last, a zero.
        if not self._is_typed or array.rfind(_NUL) != -1:
            return None
        try:
            records: list[Any] = self._decode_array(array)
        except _UNFITTING:
            self._cleaner.take_changes()  # they are counted when the records are decoded singly
            return None
        self._drift.changes.update(self._cleaner.take_changes())
        return records

    def _decode_singly(self, array: bytes) -> list[Any]:
        """Decode record by record, and clean those that do not fit."""
        try:
            parts = _split_block(array)
        except _UNFITTING:
            return [self._clean(item)[0] for item in decode_leniently(array)]
        return [self._fit(bytes(part)) for part in parts]

    def _fit(self, raw: bytes) -> Any:
        """Decode a record, and clean it if it does not fit."""
        records = self._attempt(b"[%b]" % raw)
        if records is not None:
            return records[0]
        record, changes = self._clean(decode_leniently(raw))
        drifting = frozenset(path for _, path in changes)
        if self._is_typed and not drifting <= self._drifting:
            # What did not fit once is likely not to fit again.
            self._drifting |= drifting
            self._compile()
        return record

    def _clean(self, item: Any) -> tuple[Any, Changes]:
        """Clean a record, and return what was changed too."""
        record = self._cleaner.clean_record(item, self._shape, self._defaults, self._required)
        changes = self._cleaner.take_changes()
        self._drift.changes.update(changes)
        return msgspec.convert(record, self._type) if self._is_typed else record, changes
