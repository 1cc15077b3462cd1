"""Answer bytes to clean records: pure, no HTTP, no settings.

Each record is decoded and checked by msgspec in one pass. Only fields that do not fit the schema go
through a slower pass of their own, which keeps what can be kept.
"""

from __future__ import annotations

from collections import Counter
from functools import cached_property
from json import JSONDecodeError
from typing import TYPE_CHECKING, Any

import msgspec

from tap_calltouch.blocks import BrokenAnswerError, split_array
from tap_calltouch.cleaning import Drift, clean_object, decode_leniently, describe, field_cleaners
from tap_calltouch.structs import Schema, stamper, struct_decoder, struct_type

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping
    from typing import IO

_UNFITTING = (msgspec.DecodeError, UnicodeDecodeError, OverflowError, RecursionError)
_NUL = b"\\u0000"

_split_block = msgspec.json.Decoder(list[msgspec.Raw]).decode


class RecordDecoder:
    """Decodes answers into records of one schema."""

    def __init__(
        self,
        schema: Schema,
        defaults: Mapping[str, int],
        drift: Drift | None = None,
        *,
        plain: bool = False,
    ) -> None:
        """Compile a schema.

        Args:
            schema: JSON Schema of a record. What it does not list is dropped; what an answer
                lacks is null.
            defaults: Values for required properties that an answer lacks.
            drift: Where to count what was changed.
            plain: Give records as dicts. Otherwise they are structs, which only msgspec
                can encode, and which cost less.
        """
        self.drift = drift or Drift(Counter(), Counter())
        self._schema = schema
        self._defaults = defaults
        self._plain = plain
        self._type = struct_type("Record", schema, defaults)
        self._decode_block = msgspec.json.Decoder(list[self._type]).decode  # type: ignore[name-defined]
        self._stamp = stamper(schema)
        self._cleaners = field_cleaners(schema, "", self.drift, defaults)
        self._drifting: frozenset[str] = frozenset()
        self._decode_drifting: Callable[[bytes], Any] | None = None

    def records(self, answer: IO[bytes]) -> Iterator[Any]:
        """Decode an answer, block by block.

        Args:
            answer: The whole body, positioned at its start.

        Yields:
            One record after the other.

        Raises:
            BrokenAnswerError: If the body is not a JSON array of objects.
            UnusableRecordError: If a required value is missing and has no default.
        """
        for records in split_array(answer, self._parse):
            yield from map(msgspec.to_builtins, records) if self._plain else records

    def _parse(self, array: bytes) -> list[Any] | None:
        """Decode a block at once if all of it fits, else record by record."""
        if array.rfind(_NUL) < 0:  # much faster than from the beginning: few bytes are a backslash
            try:
                records: list[Any] = self._decode_block(array)
                if self._stamp:
                    for record in records:
                        self._stamp(record)
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

    def _fit(self, raw: bytes) -> Any:  # noqa: ANN401
        """Decode a record, and clean just those of its fields that do not fit."""
        if self._decode_drifting and _NUL not in raw:
            try:
                return self._decode_drifting(raw)
            except _UNFITTING:
                pass
        try:
            return self._decode_by_field(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return self._clean(decode_leniently(raw))

    def _clean(self, item: Any) -> Any:  # noqa: ANN401
        if not isinstance(item, dict):
            msg = f"an item of the array is {describe(item)}, not an object"
            raise BrokenAnswerError(msg)
        return self._type(**clean_object(item, self._cleaners))

    @cached_property
    def _decoders(self) -> dict[str, Callable[[bytes], Any]]:
        """What decodes an object with one field of a record in it, for each field."""
        return {
            name: struct_decoder({"properties": {name: field}}, {})
            for name, field in self._schema["properties"].items()
        }

    @cached_property
    def _decode_by_field(self) -> Callable[[bytes], Any]:
        return self._record_decoder(self._decoders)

    def _record_decoder(self, names: Collection[str]) -> Callable[[bytes], Any]:
        """Compile what decodes a record in one pass but for some fields, each of which is fitted.

        Args:
            names: Those fields.
        """
        decode_record = struct_decoder(self._schema, self._defaults, raw=names)

        def decode(raw: bytes) -> Any:  # noqa: ANN401
            record = decode_record(raw)
            for name in names:
                setattr(record, name, self._fit_field(name, getattr(record, name)))
            return record

        return decode

    def _fit_field(self, name: str, raw: msgspec.Raw) -> Any:  # noqa: ANN401
        part = bytes(raw)
        if _NUL not in part:
            try:
                return getattr(self._decoders[name](b'{"%b":%b}' % (name.encode(), part)), name)
            except _UNFITTING:
                pass
        value = self._cleaners[name](decode_leniently(part))
        if name not in self._drifting:
            # What does not fit once is likely not to fit again.
            self._drifting |= {name}
            self._decode_drifting = self._record_decoder(self._drifting)
        return value
