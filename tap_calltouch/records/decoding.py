"""Answer bytes to clean records. Pure: no HTTP, no settings.

msgspec decodes and checks a block of records in one pass. Only what does not fit the schema goes
through a slower pass of its own, which keeps what can be kept.
"""

from __future__ import annotations

from collections import Counter
from json import JSONDecodeError
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from tap_calltouch.records.blocks import split_array
from tap_calltouch.records.cleaning import Cleaner, UnusableRecordError, decode_leniently, describe
from tap_calltouch.records.drift import Drift
from tap_calltouch.records.structs import UNITS, Instant, Shape, stamp, struct_type

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import IO


_UNFITTING = (msgspec.DecodeError, UnicodeDecodeError, OverflowError, RecursionError)
_NUL = b"\\u0000"

_split_block = msgspec.json.Decoder(list[msgspec.Raw]).decode


class Identity(NamedTuple):
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


class RecordDecoder:
    """Decodes answers into records of one shape."""

    def __init__(
        self, shape: Shape, identity: Identity, unit: str, drift: Drift, site: int | None = None
    ) -> None:
        """Compile a shape.

        Args:
            shape: The shape of a record. What it does not list is dropped; what an answer lacks is
                null.
            identity: The columns that make a record usable.
            unit: What the API counts instants in: `ms` or `s`.
            drift: Where to count what was changed.
            site: The site of records that do not say theirs.
        """
        self._shape = shape
        self._unit = UNITS[unit]
        self._drift = drift
        # Of a block or record that may yet turn out not to fit.
        self._pending: Counter[tuple[str, str]] = Counter()
        self._cleaner = Cleaner(unit, self._pending)
        self._drifting: frozenset[str] = frozenset()
        self._required: tuple[str, ...] = ()
        self._defaults = {} if site is None else {identity.site: site}
        self._identify: Callable[[Any], Any] | None = None
        self._is_typed = shape.is_typed
        true_fields = identity.shape.fields.items()
        if has_identity := self._is_typed and true_fields <= shape.fields.items():
            self._required = identity
        else:
            self._identity_decoder = RecordDecoder(identity.shape, identity, unit, Drift(), site)
            # The catalog may want the site as a text.
            self._defaults = {
                name: cleaned
                for name, value in self._defaults.items()
                if name in shape.fields
                and (cleaned := Cleaner(unit, Counter()).clean(value, shape.fields[name], name))
            }
            # To msgspec, null is anything too, but it must not stand for the default.
            self._drifting = frozenset(self._defaults)
        if self._is_typed:
            self._type = struct_type(shape, self._required, self._defaults)
            self._compile()
        if has_identity:
            attributes = dict(zip(shape.fields, self._type.__struct_fields__, strict=True))
            self._identify = attrgetter(*(attributes[name] for name in identity))

    def _compile(self) -> None:
        """Build the decoder, which leaves what has drifted to the cleaner."""
        drifting = struct_type(self._shape, self._required, self._defaults, self._drifting)
        records = list[drifting]  # type: ignore[valid-type]
        self._decode_array = msgspec.json.Decoder(records, dec_hook=self._decode_value).decode

    def _decode_value(self, python_type: Any, value: Any) -> Any:
        """Decode what msgspec has no type for: its `dec_hook`."""
        if python_type is Instant:
            if type(value) is int:
                return stamp(value * self._unit)
            msg = "Expected an epoch number"
            raise TypeError(msg)
        cleaned = self._cleaner.clean(value, python_type.shape, python_type.path)
        if cleaned is None and python_type.path in {*self._required, *self._defaults}:
            msg = "Expected a usable value"
            raise TypeError(msg)
        is_scalar = not isinstance(cleaned, (dict, list))
        return cleaned if is_scalar else msgspec.convert(cleaned, python_type.fitting)

    def records(self, answer: IO[bytes]) -> Iterator[tuple[tuple[int, int, str], Any]]:
        """Decode an answer, block by block.

        Args:
            answer: A JSON array, from the file's position on.

        Yields:
            Site, key and timestamp of one record after the other, each with the record: a struct,
            or a dict if msgspec has no type for it.

        Raises:
            BrokenAnswerError: If the body is not one whole JSON array.
            UnusableRecordError: If something in it is no record, or lacks what it must have.
        """
        for pairs in split_array(answer, self._parse):
            yield from pairs

    def _parse(self, array: bytes) -> Iterable[tuple[Any, Any]] | None:
        records = self._decode(array)
        if records is None:
            return None
        return zip(self._identities(array, records), records, strict=True)

    def _identities(self, array: bytes, records: list[Any]) -> Iterable[Any]:
        if self._identify:
            return map(self._identify, records)
        return [identity for identity, _ in self._identity_decoder._parse(array) or ()]  # noqa: SLF001 - its like

    def _decode(self, array: bytes) -> list[Any] | None:
        """Decode a block at once if all of it fits, else record by record."""
        records = self._attempt(array)
        if records is not None:
            return records
        try:
            parts = _split_block(array)
        except _UNFITTING:
            try:
                return [self._clean(item) for item in decode_leniently(array)]
            except (JSONDecodeError, RecursionError):
                return None
        return [self._fit(bytes(part)) for part in parts]

    def _attempt(self, array: bytes) -> list[Any] | None:
        """Decode records at once; None if something in them does not fit."""
        # `rfind` looks for the first byte, a backslash, which is rare; `find` for the last, a zero.
        if not self._is_typed or array.rfind(_NUL) >= 0:
            return None
        self._pending.clear()
        try:
            records: list[Any] = self._decode_array(array)
        except _UNFITTING:
            return None
        self._drift.changes.update(self._pending)
        return records

    def _fit(self, raw: bytes) -> Any:
        """Decode a record, and clean it if it does not fit."""
        records = self._attempt(b"[%b]" % raw)
        if records is not None:
            return records[0]
        record = self._clean(decode_leniently(raw))
        drifting = frozenset(path for _, path in self._drift.changes)
        if self._is_typed and not drifting <= self._drifting:
            # What did not fit once is likely not to fit again.
            self._drifting |= drifting
            self._compile()
        return record

    def _clean(self, item: Any) -> Any:
        if not isinstance(item, dict):
            msg = "an item of the array is not an object"
            raise UnusableRecordError(msg)
        self._pending.clear()
        record = self._cleaner.clean_object(item, self._shape)
        record |= {name: value for name, value in self._defaults.items() if record[name] is None}
        for name in self._required:
            if record[name] is None:
                msg = f"a record has no usable `{name}` (found {describe(item.get(name))})"
                raise UnusableRecordError(msg)
        self._drift.changes.update(self._pending)
        return msgspec.convert(record, self._type) if self._is_typed else record
