"""The tap: its name, its settings, its streams, and how it ends."""

from __future__ import annotations

import logging
import signal
import threading
from contextlib import contextmanager
from copy import deepcopy
from functools import cache
from typing import TYPE_CHECKING, Any, cast

import click
from singer_sdk import Tap
from singer_sdk.exceptions import ConfigValidationError, FatalAPIError
from singer_sdk.singerlib.catalog import Catalog
from typing_extensions import override

from tap_calltouch.api.client import Client
from tap_calltouch.api.failures import Failures
from tap_calltouch.config.checks import (
    doubts,
    fill_defaults,
    normalize,
    problems,
    read_environment,
)
from tap_calltouch.config.files import (
    InputError,
    check_catalog,
    read_objects,
    read_option,
    unmatched_names,
)
from tap_calltouch.config.settings import SETTINGS, add_unlisted
from tap_calltouch.config.state import read_state
from tap_calltouch.config.typed import Settings
from tap_calltouch.output.maps import leaves_nothing, unmatched
from tap_calltouch.output.messages import BlockWriter, OutputError
from tap_calltouch.redaction import redact_logs
from tap_calltouch.streams import STREAMS, Calls, Requests

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


#: What a user can act on, so that it is told in one sentence.
EXPECTED_ERRORS = (ConfigValidationError, FatalAPIError, InputError, OutputError)
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def _is_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


@contextmanager
def _held_signals() -> Iterator[None]:
    """Hold signals back while the SDK sets handlers of its own, which need a whole tap.

    If there will be none, the handlers of before are set again.
    """
    if not _is_main_thread() or not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    handlers = {number: signal.getsignal(number) for number in _SIGNALS}
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    except BaseException:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        raise
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


class TapCalltouch(Tap):
    """Singer tap for the journals of Calltouch: web requests and calls (заявки и звонки)."""

    name = "tap-calltouch"
    config_jsonschema = deepcopy(SETTINGS)  # the SDK adds its own
    message_writer_class = BlockWriter
    message_writer: BlockWriter

    @override
    def __init__(
        self,
        *,
        config: Any = None,
        catalog: Any = None,
        state: Any = None,
        parse_env_config: bool = False,
        validate_config: bool = True,
        **options: Any,
    ) -> None:
        own_state = read_state(
            read_objects(state, "state"),
            {stream.name: str(stream.replication_key) for stream in STREAMS},
            self.logger.log,
        )
        if catalog is not None and not isinstance(catalog, Catalog):
            catalog = check_catalog(read_objects(catalog, "catalog"))
        with _held_signals():
            super().__init__(
                config=self._prepare_config(
                    read_objects(config, "config"),
                    environment=parse_env_config,
                    strict=validate_config,
                ),
                catalog=catalog,
                state=own_state,
                validate_config=validate_config,
                **options,
            )
            if _is_main_thread():
                # The SDK would write STATE into the middle of a RECORD, and exit with 0.
                for number in _SIGNALS:
                    signal.signal(number, self.message_writer.terminate)

    def _prepare_config(
        self, config: dict[str, Any], *, environment: bool, strict: bool
    ) -> dict[str, Any]:
        """Return the settings as the tap needs them, and mask the token from now on.

        They are checked here, since the SDK quotes the value of one that is wrong, the token's too.
        """
        schema = self.config_jsonschema
        self.append_builtin_config(schema)
        if environment:
            config = config | read_environment(schema, self.logger.log)
        config = normalize(config, schema)
        if token := config.get("api_token"):
            redact_logs(str(token))
        for sentence in doubts(config, schema):
            self.logger.warning(sentence)
        config = fill_defaults(config, schema)
        errors = list(problems(config, schema)) if strict else []
        if errors:
            raise ConfigValidationError(" ".join(errors), errors=errors)
        return config

    @override
    @classmethod
    def append_builtin_config(cls, config_jsonschema: dict[str, Any]) -> None:
        super().append_builtin_config(config_jsonschema)
        add_unlisted(config_jsonschema)

    @override
    def discover_streams(self) -> Sequence[Requests | Calls]:
        # One for all, made when needed.
        failures = Failures()
        client = cache(lambda: Client(Settings.of(self.config), self.logger))
        return [stream(self, client, self.message_writer, failures) for stream in STREAMS]

    @override
    def setup_mapper(self) -> None:
        try:
            streams = cast("Sequence[Requests | Calls]", [*self.streams.values()])
            columns = {stream.name: stream.columns for stream in streams}
            errors = [*unmatched(self.config.get("stream_maps") or {}, columns)]
            if not errors:
                super().setup_mapper()
        except InputError:
            raise
        except Exception as error:  # noqa: BLE001
            # The SDK raises anything for a catalog or a map that it cannot use.
            reason = " ".join(f"{type(error).__name__}: {error}".split()).removesuffix(".")
            msg = f"The catalog or `stream_maps` cannot be used: {reason}."
            raise InputError(msg) from None
        if errors:
            raise InputError(" ".join(errors))
        if self.input_catalog:
            own = {stream.name: stream.schema for stream in streams}
            for sentence in unmatched_names(self.input_catalog.streams, own):
                self.logger.warning(sentence)
        self._leave_out_the_impossible(streams)

    def _leave_out_the_impossible(self, streams: Sequence[Requests | Calls]) -> None:
        """Deselect streams that the settings say too little for; there must be one that is left."""
        selected = [stream for stream in streams if stream.selected]
        if not selected:
            names = " nor ".join(stream.name for stream in streams)
            msg = f"The catalog selects no stream of the tap, neither {names}."
            raise InputError(msg)
        impossible = [stream for stream in selected if not stream.is_possible]
        for stream in impossible:
            stream.selected = False
            if self.config["request_numbers"]:
                level, reason = logging.INFO, "`request_numbers` asks for requests only"
            else:
                level, reason = logging.WARNING, "the stream needs `site_ids`"
            if selected == [stream]:
                msg = f"There is nothing to load: only {stream.name} are selected, and {reason}."
                raise InputError(msg)
            self.logger.log(level, "No %s are loaded: %s.", stream.name, reason)
        left = [stream for stream in selected if stream.selected]
        if all(leaves_nothing(self.mapper.stream_maps[stream.name]) for stream in left):
            names = " and ".join(stream.name for stream in left)
            msg = f"There is nothing to load: `stream_maps` drops each record of {names}."
            raise InputError(msg)

    @override
    @classmethod
    def get_singer_command(cls) -> click.Command:
        command = super().get_singer_command()
        for option in command.params:
            if option.name in {"catalog", "state"}:
                option.type, option.metavar = click.STRING, "FILENAME"
                option.callback = read_option
        return command

    @override
    @classmethod
    def cb_config(cls, ctx: click.Context, param: click.Option, value: tuple[str, ...]) -> Any:
        read_objects([path for path in value if path != "ENV"], "config")
        return super().cb_config(ctx, param, value)
