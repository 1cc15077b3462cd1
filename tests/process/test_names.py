"""Names that match nothing, and runs that can load nothing, are told: before the first call."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.streams import REQUESTS, discover, lines_with, warnings_in
from tests.support.tap import config_for, run_tap

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.tap import Run

Json = dict[str, Any]


def run(tmp_path: Path, catalog: Json | None = None, **settings: Any) -> Run:
    """Run the tap for both journals; it must not ask the API if it fails."""
    with REQUESTS.sandbox() as sandbox:
        found = run_tap(config_for(sandbox, **settings), tmp_path, catalog=catalog)
        assert bool(sandbox.calls) == (found.returncode == 0)
    assert "Traceback" not in found.stderr
    return found


def sentences(lines: list[str]) -> list[str]:
    return [line.rsplit(" | ", 1)[1] for line in lines]


def entry(name: str, **metadata: Any) -> Json:
    """Return the discovered entry of a stream, with metadata for fields by their path."""
    found: Json
    (found,) = [stream for stream in discover()["streams"] if stream["tap_stream_id"] == name]
    for path, value in metadata.items():
        crumb = []
        for step in filter(None, path.split(".")):
            crumb += ["properties", step.removesuffix("[]"), *["items"] * step.endswith("[]")]
        found["metadata"].append({"breadcrumb": crumb, "metadata": value})
    return found


def deselected(name: str) -> Json:
    found = entry(name)
    next(item for item in found["metadata"] if not item["breadcrumb"])["metadata"]["selected"] = (
        False
    )
    return found


USERS: Json = {"tap_stream_id": "users", "schema": {"properties": {}}, "metadata": []}


@pytest.mark.parametrize(
    ("catalog", "settings", "sentence"),
    [
        pytest.param(
            None,
            {"stream_maps": {"request": {"client": "__NULL__"}}},
            "`stream_maps` names the stream `request`, which is none of calls, requests. "
            "Did you mean `requests`?",
            id="a misspelt stream in maps",
        ),
        pytest.param(
            None,
            {"stream_maps": {"requests": {"cilent": "__NULL__"}}},
            "`stream_maps.requests` drops the column `cilent`, which is none of requests before "
            "flattening. Did you mean `client`?",
            id="a misspelt column in maps",
        ),
        pytest.param(
            None,
            {"stream_maps": {"request": {}, "call": {}}},
            "`stream_maps` names the stream `request`, which is none of calls, requests. "
            "Did you mean `requests`? "
            "`stream_maps` names the stream `call`, which is none of calls, requests. "
            "Did you mean `calls`?",
            id="two misspelt streams in maps",
        ),
        pytest.param(
            {"streams": [USERS]},
            {},
            "The catalog selects no stream of the tap, neither calls nor requests.",
            id="a catalog of another tap",
        ),
        pytest.param(
            {"streams": [deselected("requests"), deselected("calls")]},
            {},
            "The catalog selects no stream of the tap, neither calls nor requests.",
            id="both deselected",
        ),
        pytest.param(
            {"streams": [entry("calls")]},
            {"site_ids": []},
            "There is nothing to load: only calls are selected, and the stream needs `site_ids`.",
            id="calls without sites",
        ),
        pytest.param(
            {"streams": [entry("calls")]},
            {"request_numbers": ["1"]},
            "There is nothing to load: only calls are selected, and `request_numbers` asks for "
            "requests only.",
            id="calls by the number of a request",
        ),
        pytest.param(
            None,
            {"site_ids": [101], "stream_maps": {"requests": None, "calls": "__NULL__"}},
            "There is nothing to load: `stream_maps` drops each record of calls and requests.",
            id="maps that drop both",
        ),
        pytest.param(
            None,
            {"site_ids": [], "stream_maps": {"requests": None}},
            "There is nothing to load: `stream_maps` drops each record of requests.",
            id="maps that drop the one that is left",
        ),
    ],
)  # fmt: skip
def test_what_can_load_nothing_or_less_is_one_sentence(
    tmp_path: Path, catalog: Json | None, settings: Json, sentence: str
) -> None:
    found = run(tmp_path, catalog, **settings)
    assert found.returncode == 1
    assert sentences(lines_with(found, "| ERROR ")) == [sentence]
    assert not found.stdout


def test_map_that_is_not_an_expression_is_one_sentence(tmp_path: Path) -> None:
    found = run(tmp_path, stream_maps={"requests": {"x": "1 +\n  +"}})
    assert found.returncode == 1
    (sentence,) = sentences(lines_with(found, "| ERROR "))
    assert re.fullmatch(
        r"The catalog or `stream_maps` cannot be used: MapExpressionError: [^.]+ 1 \+ \+\.",
        sentence,
    )


def test_maps_that_drop_one_stream_load_the_other(tmp_path: Path) -> None:
    found = run(tmp_path, stream_maps={"calls": None})
    assert found.returncode == 0
    assert found.records


@pytest.mark.parametrize(
    ("streams", "sentence"),
    [
        pytest.param(
            [entry("requests", cilent={"selected": False})],
            "The catalog's metadata of stream requests names the field `cilent`, which does not "
            "exist; it is ignored. Did you mean `client`?",
            id="a field",
        ),
        pytest.param(
            [entry("requests", **{"client.foi": {"selected": False}})],
            "The catalog's metadata of stream requests names the field `client.foi`, which does "
            "not exist; it is ignored. Did you mean `fio`?",
            id="a field of a field",
        ),
        pytest.param(
            [entry("requests", **{"orders[].session.citty": {"selected": False}})],
            "The catalog's metadata of stream requests names the field `orders.session.citty`, "
            "which does not exist; it is ignored. Did you mean `city`?",
            id="a field of the items of an array",
        ),
        pytest.param(
            [entry("requests"), {**entry("requests"), "tap_stream_id": "request", "stream": None}],
            "The catalog has a stream `request`, which the tap has not; it is ignored. "
            "Did you mean `requests`?",
            id="a stream",
        ),
    ],
)
def test_names_in_a_catalog_that_match_nothing_are_warned_of(
    tmp_path: Path, streams: list[Json], sentence: str
) -> None:
    found = run(tmp_path, {"streams": streams})
    assert found.returncode == 0, found.stderr
    (line,) = warnings_in(found)
    assert line.endswith(sentence)


def test_each_name_in_a_catalog_that_matches_nothing_is_warned_of(tmp_path: Path) -> None:
    """Also one behind another, and half a path."""
    stream = entry("requests", cilent={"selected": False}, manger={"selected": True})
    stream["metadata"].append({"breadcrumb": ["properties"], "metadata": {"selected": True}})
    found = run(tmp_path, {"streams": [USERS, stream]})
    assert found.returncode == 0, found.stderr
    named = [re.findall(r"stream `(\w+)`|field `(\w*)`", line) for line in warnings_in(found)]
    assert named == [[("users", "")], [("", "cilent")], [("", "manger")], [("", "")]]


def without_column(name: str) -> Json:
    found = entry("requests", **{name: {"selected": False}})
    del found["schema"]["properties"][name]
    return found


def open_to(name: str) -> Json:
    found = entry("requests", **{name: {"selected": True}})
    found["schema"]["additionalProperties"] = True
    return found


@pytest.mark.parametrize(
    "stream",
    [
        pytest.param(entry("requests", client={"selected": False}), id="a field"),
        pytest.param(entry("requests", cilent={"inclusion": "available"}), id="says nothing"),
        pytest.param(entry("requests", **{"attrs.utm": {"selected": False}}), id="a free name"),
        pytest.param(without_column("client"), id="a field that was removed"),
        pytest.param(open_to("anything"), id="a field of a catalog that allows any"),
    ],
)
def test_names_in_a_catalog_that_may_match_are_not_warned_of(tmp_path: Path, stream: Json) -> None:
    found = run(tmp_path, {"streams": [stream]})
    assert found.returncode == 0, found.stderr
    assert not warnings_in(found)


def test_a_misspelt_variable_is_warned_of(tmp_path: Path) -> None:
    with REQUESTS.sandbox() as sandbox:
        found = run_tap(
            config_for(sandbox, site_ids=None),
            tmp_path,
            arguments=["--config", "ENV"],
            environment={"TAP_CALLTOUCH_SITE_ID": "[101]", "TAP_CALLTOUCH__SELECT": "[]"},
        )
    assert found.returncode == 0, found.stderr
    unknown, no_calls = sentences(warnings_in(found))
    assert unknown == (
        "The tap has no setting for TAP_CALLTOUCH_SITE_ID; it is ignored. Did you mean "
        "`TAP_CALLTOUCH_SITE_IDS`?"
    )
    assert no_calls == "No calls are loaded: the stream needs `site_ids`."
