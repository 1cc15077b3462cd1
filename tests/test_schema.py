"""What the stream's schema promises to targets and to the people who read it."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "schemas" / "requests.json").read_text(encoding="utf-8")
SCHEMA: dict[str, Any] = json.loads(TEXT)
SAMPLE: dict[str, Any] = json.loads(
    (ROOT / "tests" / "data" / "vendor_sample.json").read_text(encoding="utf-8"),
)

Node = dict[str, Any]


def paths_of(names: str, *parents: str) -> set[str]:
    """The names, below each of the parents (`""` is the record itself)."""
    return {f"{parent}.{name}".lstrip(".") for parent in parents for name in names.split()}


def fields(node: Node, above: str = "") -> Iterator[tuple[str, Node]]:
    """Every property at every depth: `orders[].session.city` and its schema."""
    for name, field in node.get("properties", {}).items():
        path = f"{above}.{name}" if above else name
        yield path, field
        if "items" in field:
            yield from fields(field["items"], f"{path}[]")
        yield from fields(field, path)


def nodes(node: Node, path: str = "") -> Iterator[tuple[str, Node]]:
    """Every schema at every depth: the properties, and the items of arrays too."""
    yield path, node
    for name, field in node.get("properties", {}).items():
        yield from nodes(field, f"{path}.{name}" if path else name)
    if "items" in node:
        yield from nodes(node["items"], f"{path}[]")


def key_paths(value: object, above: str = "") -> Iterator[str]:
    """Every key of a JSON value, written as `fields` writes them."""
    if isinstance(value, dict):
        for name, inner in value.items():
            path = f"{above}.{name}" if above else name
            yield path
            yield from key_paths(inner, path)
    elif isinstance(value, list):
        for inner in value:
            yield from key_paths(inner, f"{above}[]")


FIELDS = dict(fields(SCHEMA))
NODES = dict(nodes(SCHEMA))

NEVER_NULL = {"siteId", "requestId", "date"}

# The vendor's table. Its `mapVisits[].sessionID` is `sessionId`, as in the sample.
DOCUMENTED = (
    paths_of(
        "date comments requestNumber dateStr manager session requestId subject requestUrl"
        " uniqTargetRequest uniqueRequest siteId client targetRequest orders mapVisits"
        " yandexDirect googleAdWords attrs dcm widgetInfo customFields ctClientId"
        " RequestTags",
        "",
    )
    | paths_of("commentId requestId comment partyId partyName", "comments[]")
    | paths_of(
        "keywords city ip browser source medium ref url utmSource utmMedium utmTerm utmContent"
        " utmCampaign guaClientId yaClientId ctGlobalId sessionId attribution attrs",
        "session",
    )
    | paths_of("fio clientId phones contacts", "client")
    | {"client.phones[].phoneNumber", "client.contacts[].contactValue"}
    | paths_of("orderId dateCreated status sum orderNumber", "orders[]")
    | paths_of(
        "utmSource sessionDate sessionId city ip utmTerm utmContent userAgent source medium"
        " utmCampaign url ref additionalTags utmMedium guaClientId keyword ctClientId ctGlobalId",
        "mapVisits[]",
    )
    | paths_of("campaignId adGroupId adId criteriaId", "yandexDirect")
    | paths_of("campaignId adGroupId creativeId criteriaId", "googleAdWords")
    | paths_of(
        "profileIdDCM floodlightConfigurationId floodlightActivityId requestStatus requestErrors",
        "dcm[]",
    )
    | {"widgetInfo.fields"}
    | paths_of("name value type title", "widgetInfo.fields[]")
    | paths_of("field value", "customFields[]")
    | paths_of("category names", "RequestTags[]")
)

# In the vendor's sample and not in its table: "obsolete" by the vendor's own word.
OBSOLETE = (
    {"requestType", "status", "order"}
    | {"session.additionalTags", "RequestTags[].type"}
    | {"client.phones[].phoneType", "client.contacts[].contactType"}
    | paths_of("orderId dateCreated status sum orderNumber", "order")
    | paths_of(
        "callId realSum offered sent isMarked commentsCount currentAmount orderSum orderStatus"
        " orderComments session",
        "orders[]",
        "order",
    )
    | paths_of(
        "keywords city ip browser source medium ref url utmSource utmMedium utmTerm utmContent"
        " utmCampaign guaClientId yaClientId sessionId additionalTags attribution attrs",
        "orders[].session",
        "order.session",
    )
)

# In real answers only, nowhere in the vendor's text.
OBSERVED = {"ctGlobalId"} | paths_of("sessionDate device os browserName ctClientId", "session")

FILLED_BY = {
    "mapVisits": "with_map_visits",
    "RequestTags": "with_request_tags",
    "yandexDirect": "with_yandex_direct",
    "googleAdWords": "with_google_adwords",
    "attrs": "with_attrs",
    "session.attrs": "with_attrs",
    "orders[].session.attrs": "with_attrs",
    "order.session.attrs": "with_attrs",
    "widgetInfo": "with_widget_info",
    "customFields": "with_custom_fields",
    "dcm": "with_dcm",
}

INSTANTS = {"date", "orders[].dateCreated", "order.dateCreated"}

INTEGERS = (
    {"siteId", "requestId", "ctClientId", "client.clientId", "dcm[].profileIdDCM"}
    | paths_of("commentId requestId partyId", "comments[]")
    | paths_of("sessionId ctClientId", "session", "mapVisits[]")
    | paths_of("sessionId attribution", "session", "orders[].session", "order.session")
    | paths_of("orderId callId commentsCount", "orders[]", "order")
    | paths_of("campaignId adGroupId adId criteriaId", "yandexDirect")
    | paths_of("campaignId adGroupId creativeId criteriaId", "googleAdWords")
)
NUMBERS = {"orders[].currentAmount", "order.currentAmount"}
BOOLEANS = {
    *("uniqueRequest", "targetRequest", "uniqTargetRequest"),
    *("orders[].isMarked", "order.isMarked"),
}
OBJECTS = {
    *("session", "client", "yandexDirect", "googleAdWords", "attrs", "widgetInfo", "order"),
    *("session.attrs", "orders[].session", "orders[].session.attrs"),
    *("order.session", "order.session.attrs"),
}
ARRAYS = {
    *("comments", "client.phones", "client.contacts", "orders", "mapVisits", "RequestTags"),
    *("RequestTags[].names", "dcm", "widgetInfo.fields", "customFields"),
    *("session.additionalTags", "mapVisits[].additionalTags"),
    *("orders[].session.additionalTags", "order.session.additionalTags"),
}


def type_of(field: Node) -> str:
    """The one type of a field, null left out."""
    kind = field["type"]
    return str(kind if isinstance(kind, str) else kind[0])


def of_type(kind: str) -> set[str]:
    return {path for path, field in FIELDS.items() if type_of(field) == kind}


def marked(keyword: str) -> set[str]:
    return {path for path, field in FIELDS.items() if field.get(keyword) is True}


def test_schema_is_valid_json_schema() -> None:
    assert SCHEMA["$schema"] == Draft202012Validator.META_SCHEMA["$id"]
    assert SCHEMA["type"] == "object"
    assert SCHEMA["title"]
    assert SCHEMA["description"]
    Draft202012Validator.check_schema(SCHEMA)


def test_schema_says_nothing_that_targets_stumble_over() -> None:
    plain = {"type", "format", "description", "deprecated", "x-observed", "properties", "items"}
    for path, node in NODES.items():
        extra = set(node) - plain
        if path == "":
            assert extra == {"$schema", "title"}
        elif path.endswith("attrs"):
            assert extra == {"additionalProperties"}, path
            assert node["additionalProperties"] == {"type": ["string", "null"]}, path
        else:
            assert not extra, path


def test_file_has_no_key_twice() -> None:
    def once(pairs: list[tuple[str, Any]]) -> Node:
        names = [name for name, _ in pairs]
        assert len(names) == len(set(names)), names
        return dict(pairs)

    json.loads(TEXT, object_pairs_hook=once)
    assert TEXT.endswith("}\n")


def test_keys_and_date_come_first() -> None:
    assert list(SCHEMA["properties"])[:3] == ["siteId", "requestId", "date"]


@pytest.mark.parametrize("path", FIELDS)
def test_every_field_is_described(path: str) -> None:
    description = FIELDS[path].get("description", "")
    assert description == description.strip()
    assert description.endswith(".")
    assert description[0].isupper()


@pytest.mark.parametrize("path", [path for path in NODES if path])
def test_every_field_has_one_type_and_all_but_the_keys_and_date_may_be_null(path: str) -> None:
    kind = NODES[path]["type"]
    if path in NEVER_NULL:
        assert isinstance(kind, str)
    else:
        assert len(kind) == 2
        assert kind[0] in {"string", "integer", "number", "boolean", "object", "array"}
        assert kind[1] == "null"


def test_every_object_lists_properties_or_is_free_form_and_every_array_lists_items() -> None:
    """A free-form object has no empty `properties`: the SDK would drop it when it flattens."""
    for path, node in NODES.items():
        shapes = [bool(node.get("properties")), "additionalProperties" in node]
        assert sum(shapes) == (type_of(node) == "object"), path
        assert ("items" in node) == (type_of(node) == "array"), path


def test_only_attrs_are_free_form() -> None:
    empty = {path for path, node in NODES.items() if "additionalProperties" in node}
    assert empty == {"attrs", "session.attrs", "orders[].session.attrs", "order.session.attrs"}


def test_names_in_an_object_differ_by_more_than_case() -> None:
    for path, node in NODES.items():
        names = [name.lower() for name in node.get("properties", {})]
        assert len(names) == len(set(names)), path


def test_every_documented_field_is_there() -> None:
    assert DOCUMENTED - set(FIELDS) == set()


def test_every_key_of_the_vendors_sample_is_there() -> None:
    assert set(key_paths(SAMPLE)) - set(FIELDS) == set()


def test_nothing_is_there_that_nobody_documented_showed_or_saw() -> None:
    assert set(FIELDS) == DOCUMENTED | OBSOLETE | OBSERVED


def test_fields_of_the_sample_that_the_vendor_does_not_describe_are_deprecated() -> None:
    assert set(key_paths(SAMPLE)) - DOCUMENTED == OBSOLETE
    assert marked("deprecated") == OBSOLETE


def test_fields_seen_in_real_answers_only_are_marked_so() -> None:
    assert marked("x-observed") == OBSERVED
    assert OBSERVED.isdisjoint(DOCUMENTED | set(key_paths(SAMPLE)))


def test_marks_are_true_or_absent() -> None:
    for path, node in NODES.items():
        assert node.get("deprecated", True) is True, path
        assert node.get("x-observed", True) is True, path


def test_instants_are_exactly_the_three() -> None:
    assert {path for path, node in NODES.items() if "format" in node} == INSTANTS
    for path in INSTANTS:
        assert FIELDS[path]["format"] == "date-time"
        assert type_of(FIELDS[path]) == "string"


def test_types_are_those_of_the_contract_and_everything_else_is_text() -> None:
    assert of_type("integer") == INTEGERS
    assert of_type("number") == NUMBERS
    assert of_type("boolean") == BOOLEANS
    assert of_type("object") == OBJECTS
    assert of_type("array") == ARRAYS
    assert of_type("string") == set(FIELDS) - INTEGERS - NUMBERS - BOOLEANS - OBJECTS - ARRAYS


def test_descriptions_name_the_setting_that_fills_the_field() -> None:
    naming = {path for path, field in FIELDS.items() if "with_" in field["description"]}
    assert naming == set(FILLED_BY)
    for path, setting in FILLED_BY.items():
        assert f"`{setting}`" in FIELDS[path]["description"], path


def test_vendors_sample_fits_once_its_instants_are_text() -> None:
    record = copy.deepcopy(SAMPLE) | {"siteId": 1, "date": "2019-04-04T12:50:59.240Z"}
    for order in (record["order"], *record["orders"]):
        order["dateCreated"] = "2019-04-04T12:57:00.000Z"
    Draft202012Validator(SCHEMA).validate(record)


def test_ids_beyond_double_precision_fit_and_null_items_are_allowed() -> None:
    record = {
        "siteId": 1,
        "requestId": 2,
        "date": "2019-04-04T12:50:59.240Z",
        "ctClientId": 2**53 + 1,
        "comments": [None],
        "RequestTags": [{"names": [None]}],
        "attrs": {"param1": "value1", "param2": None},
    }
    Draft202012Validator(SCHEMA).validate(record)
