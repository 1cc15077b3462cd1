"""Every setting reaches the API, from `meltano.yml` and from variables."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from docs.render import ROOT
from tap_calltouch.config.settings import SETTINGS
from tests.support.meltano_project import BIN, finish, start_meltano
from tests.support.tap import TOKEN

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox import Sandbox

VALUES: dict[str, Any] = {
    "api_token": TOKEN,
    "site_ids": [101],
    "start_date": "2024-01-02",
    "end_date": "2024-01-02",
    "timezone": "Europe/Samara",
    "window_days": 3,
    "lookback_days": 0,
    "bind_to": "session",
    "subject": "Заявка",
    "keywords": "купить",
    "city": "moscow",
    "source": "yandex",
    "medium": "cpc",
    "manager": "Вася",
    "ani_value": "7999",
    "ani_filter_mode": "startwith",
    "email_value": "@yandex.ru",
    "email_filter_mode": "contains",
    **{name: True for name in SETTINGS["properties"] if name.startswith("with_")},
    "call_attribution": "0",
    "unique_calls_only": True,
    "target_calls_only": True,
    "unique_target_calls_only": True,
    "callback_calls_only": True,
    "request_numbers": [],
    "max_concurrent_requests": 2,
    "requests_per_second": 2,
    "request_timeout": 30,
}
BOTH = {
    "clientApiId": TOKEN,
    "bindTo": "session",
    "withMapVisits": "true",
    "withYandexDirect": "true",
    "withGoogleAdwords": "true",
    "withAttrs": "true",
    "withCustomFields": "true",
    "withDcm": "true",
}
CALLS = BOTH | {
    "dateFrom": "02/01/2024",
    "dateTo": "02/01/2024",
    "page": "1",
    "limit": "1000",
    "withCallTags": "true",
    "withOrders": "true",
    "withComments": "true",
    "withText": "true",
    "withCallbackInfo": "true",
    "attribution": "0",
    "uniqueOnly": "true",
    "targetOnly": "true",
    "uniqTargetOnly": "true",
    "callbackOnly": "true",
}
REQUESTS = BOTH | {
    "siteId": "101",
    "dateFrom": "01/02/2024",
    "dateTo": "01/02/2024",
    "subject": "Заявка",
    "keywords": "купить",
    "city": "moscow",
    "source": "yandex",
    "medium": "cpc",
    "manager": "Вася",
    "ani.value": "7999",
    "ani.filterMode": "startwith",
    "email.value": "@yandex.ru",
    "email.filterMode": "contains",
    "withRequestTags": "true",
    "withWidgetInfo": "true",
}


@pytest.mark.parametrize("source", ["meltano.yml", "variables"])
def test_every_setting_reaches_the_api(sandbox: Sandbox, tmp_path: Path, source: str) -> None:
    values = VALUES | {"api_url": sandbox.url}
    assert values.keys() == SETTINGS["properties"].keys(), "a new setting needs a value here"
    project = yaml.safe_load((ROOT / "meltano.yml").read_text(encoding="utf-8"))
    extractor = project["plugins"]["extractors"][0]
    del extractor["pip_url"], project["plugins"]["loaders"]
    extractor["executable"] = str(BIN / "tap-calltouch")
    extractor["config"] = values if source == "meltano.yml" else {}
    (tmp_path / "meltano.yml").write_text(yaml.safe_dump(project), encoding="utf-8")
    variables = {
        f"TAP_CALLTOUCH_{name.upper()}": value if isinstance(value, str) else json.dumps(value)
        for name, value in values.items()
    }
    arguments = ("invoke", "tap-calltouch", "--test")
    used = variables if source == "variables" else {}
    with start_meltano(tmp_path, *arguments, **used) as process:
        finish(process)
    assert [call.params for call in sandbox.calls] == [CALLS, REQUESTS]
