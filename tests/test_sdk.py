"""The Singer SDK's own tests of a tap, against the sandbox, and what the tap takes from the SDK."""

from __future__ import annotations

import inspect
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest
from singer_sdk import Stream, Tap
from singer_sdk.plugin_base import PluginBase
from singer_sdk.testing import SuiteConfig, get_tap_test_class

from sandbox import Journal, Sandbox
from tap_calltouch.streams import RequestsStream
from tap_calltouch.tap import TapCalltouch
from tests.support.tap import FLAGS, TOKEN

if TYPE_CHECKING:
    from collections.abc import Iterator

CONFIG: dict[str, Any] = {
    "api_token": TOKEN,
    "site_ids": [101, 202],
    "start_date": "2024-01-01",
    "end_date": "2024-01-31",
    **dict.fromkeys(FLAGS, True),
}

_TapTests = get_tap_test_class(
    TapCalltouch,
    config=CONFIG,
    suite_config=SuiteConfig(max_records_limit=None, ignore_no_records=False),
)


class TestTapCalltouch(_TapTests):  # type: ignore[misc, valid-type]
    """The tests that the SDK makes for the tap, its stream and each of its fields."""

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def _sandbox(cls) -> Iterator[None]:
        journal = Journal((101, 202), date(2024, 1, 1), date(2024, 1, 31), per_day=5)
        with Sandbox(journal, token=TOKEN, per_second=1000) as sandbox:
            CONFIG["api_url"] = sandbox.url
            yield


del _TapTests

# What the tap overrides although it is not public, and with which parameters the SDK calls it.
PROTECTED = [
    (Stream, RequestsStream, "_increment_stream_state", ["self", "latest_record", "context"]),
    (Stream, RequestsStream, "_generate_record_messages", ["self", "record"]),
    (Stream, RequestsStream, "_write_record_message", ["self", "record"]),
    (
        Stream,
        RequestsStream,
        "_process_record",
        ["self", "record", "child_context", "partition_context"],
    ),
    (PluginBase, TapCalltouch, "_validate_config", ["self", "raise_errors"]),
    (Tap, TapCalltouch, "_handle_termination", ["self", "signum", "frame"]),
]


@pytest.mark.parametrize(("base", "ours", "name", "parameters"), PROTECTED, ids=str)
def test_protected_member_is_still_as_it_was(
    base: type, ours: type, name: str, parameters: list[str]
) -> None:
    """If this fails, read what the SDK does now before anything else."""
    assert list(inspect.signature(getattr(base, name)).parameters) == parameters
    assert list(inspect.signature(getattr(ours, name)).parameters) == parameters


def test_tap_overrides_no_other_protected_member() -> None:
    known = {name for _, _, name, _ in PROTECTED} | {"_env_var_config"}
    for ours, bases in ((RequestsStream, Stream.__mro__), (TapCalltouch, Tap.__mro__)):
        taken = {name for base in bases for name in vars(base) if base is not object}
        own = {
            name
            for cls in ours.__mro__
            if cls.__module__.startswith("tap_calltouch")
            for name in vars(cls)
            if name.startswith("_") and not name.startswith("__") and name != "_abc_impl"
        }
        assert (own & taken) - {"_TapCalltouch__initialized_at"} <= known


def test_sdk_still_keeps_what_the_tap_reads() -> None:
    tap = TapCalltouch(config={"api_token": "x", "start_date": "2024-01-01"})
    stream = tap.streams["requests"]
    assert isinstance(stream.get_context_state(None), dict)
    assert stream.stream_maps[0].raw_schema["properties"]["date"]["format"] == "date-time"
    assert "_env_var_config" in vars(PluginBase)
    assert "_stream_version" in vars(stream)
