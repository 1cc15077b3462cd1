"""What the streams' schemas promise to targets and to the people who read them."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator

if TYPE_CHECKING:
    from collections.abc import Iterator


ROOT = Path(__file__).resolve().parents[2]
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


@dataclass(frozen=True)
class Contract:
    """What a stream's schema must say.

    Attributes:
        name: The stream's name.
        keys: The key properties and the replication key: first in the schema, and never null.
        fields: Every field at every depth.
        instants: The fields that are instants; all other dates are texts.
        integers: The fields that are integers; likewise the next ones.
        free_form: The objects with any keys.
        deprecated: The fields that are marked as obsolete.
        observed: The fields that are marked as seen in answers only.
        filled_by: The settings without which fields are empty.
    """

    name: str
    keys: tuple[str, str, str]
    fields: set[str]
    instants: set[str]
    integers: set[str]
    numbers: set[str]
    booleans: set[str]
    objects: set[str]
    arrays: set[str]
    free_form: set[str]
    deprecated: set[str]
    observed: set[str]
    filled_by: dict[str, str]

    @cached_property
    def text(self) -> str:
        return (ROOT / "schemas" / f"{self.name}.json").read_text(encoding="utf-8")

    @cached_property
    def schema(self) -> Node:
        schema: Node = json.loads(self.text)
        return schema

    @cached_property
    def described(self) -> dict[str, Node]:
        """The schema of each field."""
        return dict(fields(self.schema))

    @cached_property
    def nodes(self) -> dict[str, Node]:
        """The schema of each field, of each array's items, and of the record itself."""
        return dict(nodes(self.schema))

    def of_type(self, kind: str) -> set[str]:
        return {path for path, field in self.described.items() if type_of(field) == kind}

    def marked(self, keyword: str) -> set[str]:
        return {path for path, field in self.described.items() if field.get(keyword) is True}


def type_of(field: Node) -> str:
    """The one type of a field, null left out."""
    kind = field["type"]
    return str(kind if isinstance(kind, str) else kind[0])


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

# In real answers or in clients only, nowhere in the vendor's text.
IN_SESSIONS = "sessionDate device os browserName ctClientId"
OBSERVED = (
    {"ctGlobalId", "hostname"}
    | paths_of(IN_SESSIONS, "session")
    | paths_of(f"{IN_SESSIONS} ctGlobalId", "orders[].session", "order.session")
)

REQUESTS = Contract(
    name="requests",
    keys=("siteId", "requestId", "date"),
    fields=DOCUMENTED | OBSOLETE | OBSERVED,
    instants={"date", "orders[].dateCreated", "order.dateCreated"},
    integers=(
        {"siteId", "requestId", "ctClientId", "client.clientId", "dcm[].profileIdDCM"}
        | paths_of("commentId requestId partyId", "comments[]")
        | paths_of("sessionId ctClientId", "session", "mapVisits[]")
        | paths_of("sessionId attribution", "session")
        | paths_of("sessionId attribution ctClientId", "orders[].session", "order.session")
        | paths_of("orderId callId commentsCount", "orders[]", "order")
        | paths_of("campaignId adGroupId adId criteriaId", "yandexDirect")
        | paths_of("campaignId adGroupId creativeId criteriaId", "googleAdWords")
    ),
    numbers={"orders[].currentAmount", "order.currentAmount"},
    booleans={
        *("uniqueRequest", "targetRequest", "uniqTargetRequest"),
        *("orders[].isMarked", "order.isMarked"),
    },
    objects={
        *("session", "client", "yandexDirect", "googleAdWords", "attrs", "widgetInfo", "order"),
        *("session.attrs", "orders[].session", "orders[].session.attrs"),
        *("order.session", "order.session.attrs"),
    },
    arrays={
        *("comments", "client.phones", "client.contacts", "orders", "mapVisits", "RequestTags"),
        *("RequestTags[].names", "dcm", "widgetInfo.fields", "customFields"),
        *("session.additionalTags", "mapVisits[].additionalTags"),
        *("orders[].session.additionalTags", "order.session.additionalTags"),
    },
    free_form={"attrs", "session.attrs", "orders[].session.attrs", "order.session.attrs"},
    deprecated=OBSOLETE,
    observed=OBSERVED,
    filled_by={
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
    },
)

# The keys of a call in the order of real answers; `poolType` came last.
CALL_KEYS = (
    "callId callphase attribution callTags date duration callerNumber redirectNumber phoneNumber"
    " manager successful uniqueCall targetCall uniqTargetCall callbackCall city source medium"
    " keyword url callUrl ref hostname utmSource utmMedium utmCampaign utmContent utmTerm sessionId"
    " ctCallerId clientId yaClientId sipCallId userAgent ip waitingConnect callReferenceId"
    " mapVisits attrs comments phrases additionalTags callClientUniqueId device os browser"
    " timestamp sessionDate orders order yandexDirect googleAdWords siteId siteName callbackInfo"
    " ctClientId dcm phonesInText ctGlobalId subPoolName statusDetails customFields poolType"
)
CALL_ORDER = "orderId orderNumber orderDate createdDate completedDate plannedAmount completedAmount"
CALLS = Contract(
    name="calls",
    keys=("siteId", "callId", "timestamp"),
    fields=(
        paths_of(CALL_KEYS, "")
        | paths_of("category type names", "callTags[]")
        | {path for path in DOCUMENTED if path.startswith("mapVisits[].")}
        | paths_of("commentId callId requestId comment partyId partyName", "comments[]")
        | paths_of("channel time message", "phrases[]")
        | paths_of(CALL_ORDER, "orders[]", "order")
        | paths_of("campaignId adGroupId adId criteriaId", "yandexDirect")
        | paths_of("campaignId adGroupId creativeId adId criteriaId", "googleAdWords")
        | paths_of(
            "callbackRequestId callbackFinalAttempt facebookLeadgenId leadId adId"
            " leadsCampaignName email fields",
            "callbackInfo",
        )
        | paths_of("name value", "callbackInfo.fields[]")
        | {path.replace("[]", "") for path in DOCUMENTED if path.startswith("dcm[].")}
        | paths_of("field value", "customFields[]")
    ),
    instants={"timestamp"},
    integers=(
        paths_of("siteId callId attribution duration sessionId waitingConnect ctClientId", "")
        | paths_of("sessionId ctClientId", "mapVisits[]")
        | paths_of("commentId callId requestId partyId", "comments[]")
        | {"phrases[].channel", "orders[].orderId", "order.orderId", "dcm.profileIdDCM"}
        | paths_of("campaignId adGroupId adId criteriaId", "yandexDirect")
        | paths_of("campaignId adGroupId creativeId adId criteriaId", "googleAdWords")
        | {"callbackInfo.callbackRequestId"}
    ),
    numbers=set(),
    booleans=paths_of("successful uniqueCall targetCall uniqTargetCall callbackCall", ""),
    objects=paths_of("attrs order yandexDirect googleAdWords callbackInfo dcm", ""),
    arrays={
        *("callTags", "callTags[].names", "mapVisits", "mapVisits[].additionalTags", "comments"),
        *("phrases", "additionalTags", "orders", "callbackInfo.fields", "phonesInText"),
        "customFields",
    },
    free_form={"attrs"},
    deprecated={"order"} | paths_of(CALL_ORDER, "order"),
    observed={"callClientUniqueId", "ctGlobalId", "poolType"},
    filled_by={
        "callTags": "with_call_tags",
        "mapVisits": "with_map_visits",
        "attrs": "with_attrs",
        "comments": "with_comments",
        "phrases": "with_text",
        "phonesInText": "with_text",
        "orders": "with_orders",
        "yandexDirect": "with_yandex_direct",
        "googleAdWords": "with_google_adwords",
        "callbackInfo": "with_callback_info",
        "dcm": "with_dcm",
        "customFields": "with_custom_fields",
    },
)
CONTRACTS = {contract.name: contract for contract in (REQUESTS, CALLS)}


@pytest.fixture(params=CONTRACTS)
def contract(request: pytest.FixtureRequest) -> Contract:
    return CONTRACTS[request.param]


def test_schema_is_valid_json_schema(contract: Contract) -> None:
    schema = contract.schema
    assert schema["$schema"] == Draft202012Validator.META_SCHEMA["$id"]
    assert schema["type"] == "object"
    assert schema["title"]
    assert schema["description"]
    Draft202012Validator.check_schema(schema)


def test_schema_says_nothing_that_targets_stumble_over(contract: Contract) -> None:
    plain = {"type", "format", "description", "deprecated", "x-observed", "properties", "items"}
    for path, node in contract.nodes.items():
        extra = set(node) - plain
        if path == "":
            assert extra == {"$schema", "title"}
        elif path in contract.free_form:
            assert extra == {"additionalProperties"}, path
            assert node["additionalProperties"] == {"type": ["string", "null"]}, path
        else:
            assert not extra, path


def test_file_has_no_key_twice(contract: Contract) -> None:
    def once(pairs: list[tuple[str, Any]]) -> Node:
        names = [name for name, _ in pairs]
        assert len(names) == len(set(names)), names
        return dict(pairs)

    json.loads(contract.text, object_pairs_hook=once)
    assert contract.text.endswith("}\n")


def test_keys_and_replication_key_come_first(contract: Contract) -> None:
    assert tuple(contract.schema["properties"])[:3] == contract.keys


def test_every_field_is_described(contract: Contract) -> None:
    for path, field in contract.described.items():
        description = field.get("description", "")
        assert description == description.strip(), path
        assert description.endswith("."), path
        assert description[0].isupper(), path


def test_every_field_has_one_type_and_only_the_keys_are_never_null(contract: Contract) -> None:
    for path, node in contract.nodes.items():
        kind = node["type"]
        if path in {"", *contract.keys}:
            assert isinstance(kind, str), path
        else:
            assert len(kind) == 2, path
            assert kind[0] in {"string", "integer", "number", "boolean", "object", "array"}, path
            assert kind[1] == "null", path


def test_every_object_lists_properties_or_is_free_form_and_every_array_lists_items(
    contract: Contract,
) -> None:
    """A free-form object has no empty `properties`: the SDK would drop it when it flattens."""
    for path, node in contract.nodes.items():
        shapes = [bool(node.get("properties")), "additionalProperties" in node]
        assert sum(shapes) == (type_of(node) == "object"), path
        assert ("items" in node) == (type_of(node) == "array"), path


def test_only_attrs_are_free_form(contract: Contract) -> None:
    found = {path for path, node in contract.nodes.items() if "additionalProperties" in node}
    assert found == contract.free_form


def test_names_in_an_object_differ_by_more_than_case(contract: Contract) -> None:
    for path, node in contract.nodes.items():
        names = [name.lower() for name in node.get("properties", {})]
        assert len(names) == len(set(names)), path


def test_the_fields_are_those_of_the_contract(contract: Contract) -> None:
    assert set(contract.described) == contract.fields


def test_a_call_has_the_keys_of_real_answers_in_their_order() -> None:
    keys = CALL_KEYS.split()
    assert len(keys) == 63
    rest = [key for key in keys if key not in CALLS.keys]
    assert list(CALLS.schema["properties"]) == [*CALLS.keys, *rest]


def test_every_key_of_the_vendors_sample_is_there() -> None:
    assert set(key_paths(SAMPLE)) - set(REQUESTS.described) == set()


def test_fields_of_the_sample_that_the_vendor_does_not_describe_are_obsolete() -> None:
    assert set(key_paths(SAMPLE)) - DOCUMENTED == OBSOLETE


def test_observed_fields_are_in_no_text_of_the_vendor() -> None:
    assert OBSERVED.isdisjoint(DOCUMENTED | set(key_paths(SAMPLE)))


def test_marks_are_those_of_the_contract(contract: Contract) -> None:
    assert contract.marked("deprecated") == contract.deprecated
    assert contract.marked("x-observed") == contract.observed


def test_marks_are_true_or_absent(contract: Contract) -> None:
    for path, node in contract.nodes.items():
        assert node.get("deprecated", True) is True, path
        assert node.get("x-observed", True) is True, path


def test_instants_are_those_of_the_contract(contract: Contract) -> None:
    assert {path for path, node in contract.nodes.items() if "format" in node} == contract.instants
    for path in contract.instants:
        assert contract.described[path]["format"] == "date-time"
        assert type_of(contract.described[path]) == "string"


def test_types_are_those_of_the_contract_and_everything_else_is_text(contract: Contract) -> None:
    assert contract.of_type("integer") == contract.integers
    assert contract.of_type("number") == contract.numbers
    assert contract.of_type("boolean") == contract.booleans
    assert contract.of_type("object") == contract.objects
    assert contract.of_type("array") == contract.arrays
    others = contract.integers | contract.numbers | contract.booleans
    others |= contract.objects | contract.arrays
    assert contract.of_type("string") == contract.fields - others


def test_descriptions_name_the_setting_that_fills_the_field(contract: Contract) -> None:
    descriptions = {path: field["description"] for path, field in contract.described.items()}
    naming = {path for path, description in descriptions.items() if "with_" in description}
    assert naming == set(contract.filled_by)
    for path, setting in contract.filled_by.items():
        assert f"`{setting}`" in descriptions[path], path


def test_shapes_that_no_answer_showed_say_so() -> None:
    """What rests on clients alone must not read as if it had been seen."""
    unseen = {"mapVisits", "comments", "phrases", "orders", "callbackInfo", "dcm", "customFields"}
    descriptions = {path: field["description"] for path, field in CALLS.described.items()}
    saying = {path for path, text in descriptions.items() if "no real value was at hand" in text}
    assert saying == unseen
    for path in CALLS.observed:
        assert "null in every answer seen" in descriptions[path] or "no value" in descriptions[path]


def test_vendors_sample_fits_once_its_instants_are_text() -> None:
    record = copy.deepcopy(SAMPLE) | {"siteId": 1, "date": "2019-04-04T12:50:59.240Z"}
    for order in (record["order"], *record["orders"]):
        order["dateCreated"] = "2019-04-04T12:57:00.000Z"
    Draft202012Validator(REQUESTS.schema).validate(record)


def test_ids_beyond_double_precision_fit_and_null_items_are_allowed() -> None:
    request = {
        "siteId": 1,
        "requestId": 2,
        "date": "2019-04-04T12:50:59.240Z",
        "ctClientId": 2**53 + 1,
        "comments": [None],
        "RequestTags": [{"names": [None]}],
        "attrs": {"param1": "value1", "param2": None},
    }
    Draft202012Validator(REQUESTS.schema).validate(request)
    call = {
        "siteId": 1,
        "callId": 2,
        "timestamp": "2023-06-29T15:11:56.000Z",
        "ctClientId": 2**53 + 1,
        "yaClientId": "16880514001234567890",
        "phrases": [None],
        "additionalTags": ["text", None],
    }
    Draft202012Validator(CALLS.schema).validate(call)
