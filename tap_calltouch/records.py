"""Answer bytes to clean records. Pure: no HTTP, no settings.

msgspec decodes and checks a block of records in one pass. Only what does not fit the schema goes
through a slower pass of its own, which keeps what can be kept.
"""

from __future__ import annotations

from functools import cached_property
from json import JSONDecodeError
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from tap_calltouch.blocks import split_array
from tap_calltouch.cleaning import Cleaner, UnusableRecordError, decode_leniently, describe
from tap_calltouch.structs import Shape, instant_hook, python_type, struct_type

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator
    from typing import IO

    from tap_calltouch.drift import Drift

_UNFITTING = (msgspec.DecodeError, UnicodeDecodeError, OverflowError, RecursionError)
_NUL = b"\\u0000"

_split_block = msgspec.json.Decoder(list[msgspec.Raw]).decode


class Identity(NamedTuple):
    """The columns that the tap itself needs, whatever a catalog makes of them.

    Attributes:
        site: Name of the column with the site's id.
        key: Name of the column with the record's id within its site.
        moment: Name of the replication key.
    """

    site: str
    key: str
    moment: str

    @property
    def shape(self) -> Shape:
        """Their true types."""
        integer = Shape("integer")
        fields = {self.site: integer, self.key: integer, self.moment: Shape("instant")}
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
        self._unit = unit
        self._cleaner = Cleaner(unit, drift)
        self._required: dict[str, int | None] = {}
        self._identify: Callable[[Any], Any] | None = None
        self._is_typed = shape.is_typed
        true_fields = identity.shape.fields.items()
        if has_identity := self._is_typed and true_fields <= shape.fields.items():
            self._required = {identity.site: site, identity.key: None, identity.moment: None}
        else:
            self._identity_decoder = RecordDecoder(identity.shape, identity, unit, drift, site)
        if self._is_typed:
            self._type = struct_type("Record", shape, self._required)
            self._decode_block = self._decoder(list[self._type])  # type: ignore[name-defined]
            self._attributes = dict(zip(shape.fields, self._type.__struct_fields__, strict=True))
        if has_identity:
            self._identify = attrgetter(*(self._attributes[name] for name in identity))
        self._drifting: frozenset[str] = frozenset()
        self._decode_drifting: Callable[[bytes], Any] | None = None

    def records(self, answer: IO[bytes]) -> Iterator[tuple[tuple[int, int, str], Any]]:
        """Decode an answer, block by block.

        Args:
            answer: A JSON array, from the file's position on.

        Yields:
            Site, key and moment of one record after the other, each with the record: a struct, or
            a dict if msgspec has no type for it.

        Raises:
            BrokenAnswerError: If the body is not one whole JSON array.
            UnusableRecordError: If something in it is no record, or lacks what it must have.
        """
        for pairs in split_array(answer, self._parse):
            yield from pairs

    def _parse(self, array: bytes) -> Iterable[tuple[Any, Any]] | None:
        records = self._decode(array)
        return (
            None if records is None else zip(self._identities(array, records), records, strict=True)
        )

    def _identities(self, array: bytes, records: list[Any]) -> Iterable[Any]:
        if self._identify:
            return map(self._identify, records)
        return [identity for identity, _ in self._identity_decoder._parse(array) or ()]  # noqa: SLF001 - its like

    def _decode(self, array: bytes) -> list[Any] | None:
        """Decode a block at once if all of it fits, else record by record."""
        # From the end, which is much faster: few bytes are a backslash.
        if self._is_typed and array.rfind(_NUL) < 0:
            try:
                records: list[Any] = self._decode_block(array)
            except _UNFITTING:
                pass
            else:
                return records
        try:
            parts = _split_block(array)
        except _UNFITTING:
            try:
                return [self._clean(item) for item in decode_leniently(array)]
            except (JSONDecodeError, RecursionError):
                return None
        return [self._fit(bytes(part)) for part in parts]

    def _fit(self, raw: bytes) -> Any:
        """Decode a record, and clean only those of its fields that do not fit."""
        if not self._is_typed:
            return self._clean(decode_leniently(raw))
        if self._decode_drifting and _NUL not in raw:
            try:
                return self._decode_drifting(raw)
            except _UNFITTING:
                pass
        try:
            return self._decode_by_field(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return self._clean(decode_leniently(raw))

    def _clean(self, item: Any) -> Any:
        if not isinstance(item, dict):
            msg = f"an item of the array is {describe(item)}, not an object"
            raise UnusableRecordError(msg)
        record = self._cleaner.clean_record(item, self._shape)
        record |= {
            name: self._require(name, record[name], item.get(name)) for name in self._required
        }
        if not self._is_typed:
            return record
        return self._type(**{self._attributes[name]: value for name, value in record.items()})

    def _require(self, name: str, value: Any, found: Any) -> Any:
        if value is not None or name not in self._required:
            return value
        if self._required[name] is None:
            msg = f"a record has no usable `{name}` (found {describe(found)})"
            raise UnusableRecordError(msg)
        return self._required[name]

    def _decoder(self, python_type: Any) -> Callable[[bytes], Any]:
        return msgspec.json.Decoder(python_type, dec_hook=instant_hook(self._unit)).decode

    @cached_property
    def _decode_by_field(self) -> Callable[[bytes], Any]:
        return self._field_decoder(self._shape.fields)

    def _field_decoder(self, names: Collection[str]) -> Callable[[bytes], Any]:
        """Build a decoder that reads a record in one pass, and some fields of it one by one.

        Args:
            names: The fields that may not fit.
        """
        decode_record = self._decoder(struct_type("Record", self._shape, self._required, names))

        def decode(raw: bytes) -> Any:
            record = decode_record(raw)
            for name in names:
                attribute = self._attributes[name]
                setattr(record, attribute, self._fit_field(name, getattr(record, attribute)))
            return record

        return decode

    @cached_property
    def _decode_field(self) -> dict[str, Callable[[bytes], Any]]:
        """A decoder for the value of each field."""
        return {
            name: self._decoder(decoded if name in self._required else decoded | None)
            for name, shape in self._shape.fields.items()
            for decoded in (python_type(name, shape),)
        }

    def _fit_field(self, name: str, raw: msgspec.Raw) -> Any:
        part = bytes(raw)
        if _NUL not in part:
            try:
                return self._decode_field[name](part)
            except _UNFITTING:
                pass
        if name not in self._drifting:
            # What does not fit once is likely not to fit again.
            self._drifting |= {name}
            self._decode_drifting = self._field_decoder(self._drifting)
        found = decode_leniently(part)
        value = self._cleaner.clean(found, self._shape.fields[name], name)
        return self._require(name, value, found)
