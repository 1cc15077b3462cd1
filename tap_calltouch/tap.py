"""The tap: its name, its settings, its streams, and how it ends."""

from __future__ import annotations

import sys
from copy import deepcopy
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from singer_sdk import Tap
from singer_sdk.exceptions import ConfigValidationError
from singer_sdk.helpers._classproperty import classproperty

from tap_calltouch.config import normalize, problems, read_environment
from tap_calltouch.messages import BlockWriter
from tap_calltouch.redaction import redact_logs
from tap_calltouch.settings import SETTINGS
from tap_calltouch.streams import RequestsStream
from tap_calltouch.windows import parse_moment

if sys.version_info >= (3, 12):
    from typing import override
else:
    from typing_extensions import override

if TYPE_CHECKING:
    from types import FrameType


class InvalidStateError(ValueError):
    """The state is damaged or is not this tap's."""


class TapCalltouch(Tap):
    """Singer tap for the Calltouch requests journal (журнал заявок Calltouch)."""

    name = "tap-calltouch"
    config_jsonschema = deepcopy(SETTINGS)  # the SDK adds its own
    message_writer_class = BlockWriter

    @override
    def __init__(self, *, state: Any = None, **options: Any) -> None:
        if isinstance(state, list):  # the SDK takes an empty one for no state
            state = {"bookmarks": state}
        super().__init__(state=state, **options)

    @override
    def discover_streams(self) -> list[RequestsStream]:
        return [RequestsStream(self)]

    @override
    def load_state(self, state: dict[str, Any]) -> None:
        """Take over a state, which must be one that this tap can go on from.

        Raises:
            InvalidStateError: Otherwise; starting from the beginning is for the user to decide.
        """
        try:
            stream_state = state.get("bookmarks", {}).get(RequestsStream.name, {})
            for entry in [stream_state, *stream_state.get("partitions", [])]:
                if value := entry.get("replication_key_value"):
                    parse_moment(value, ZoneInfo("UTC"))
                if entry.get("replication_key", RequestsStream.replication_key) != "date":
                    raise ValueError  # noqa: TRY301
            super().load_state(state)
        except (AttributeError, TypeError, ValueError, OverflowError):
            msg = (
                "The state is not one of tap-calltouch: `bookmarks.requests` must hold a "
                "`replication_key_value` that is a date-time, of the `replication_key` `date`. "
                "Mend it, or remove it to load everything again from `start_date`."
            )
            raise InvalidStateError(msg) from None

    @classproperty
    @override
    def _env_var_config(cls) -> dict[str, Any]:  # noqa: N805
        cls.append_builtin_config(cls.config_jsonschema)
        return read_environment(cls.config_jsonschema, cls._env_var_prefix)

    @override
    def _validate_config(self, *, raise_errors: bool = True) -> list[str]:
        # The SDK quotes the value of a setting that is wrong, the token's too.
        self.append_builtin_config(self.config_jsonschema)
        self._config = normalize(self._config, self.config_jsonschema)
        redact_logs(str(self._config.get("api_token", "")))
        errors = list(problems(self._config, self.config_jsonschema))
        if errors and raise_errors:
            raise ConfigValidationError(" ".join(errors), errors=errors)
        return errors

    @override
    def _handle_termination(self, signum: int, frame: FrameType | None) -> None:
        # The SDK would write STATE into the middle of a RECORD, and exit with 0.
        self.message_writer.terminate(128 + signum)  # type: ignore[attr-defined]
