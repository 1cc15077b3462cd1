"""The charts, as Altair builds them; the page hands them their rows and colours."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import altair as alt

if TYPE_CHECKING:
    from collections.abc import Mapping

_DAY = alt.X(
    "day:T",
    scale=alt.Scale(type="utc"),
    axis=alt.Axis(format="%-d %b", title=None, grid=False, labelOverlap=True, tickCount=8),
)


def charts(texts: Mapping[str, str]) -> dict[str, Any]:
    """Return the Vega-Lite specification of each chart, by the name of its data."""
    made = {
        "days": _days(texts),
        "hours": _hours(texts),
        "paths": _paths(texts),
        "ads": _ads(texts),
    }
    return {name: chart.to_dict() for name, chart in made.items()}


def _chart(name: str, title: str, height: int) -> alt.Chart:
    return alt.Chart(alt.NamedData(name), width="container", height=height, description=title)


def _days(texts: Mapping[str, str]) -> Any:
    """Calls and requests of each day as dots, and their means of a week as lines."""
    chart = _chart("days", texts["days"], 260)
    names = [texts["calls"], texts["requests"]]
    color = alt.Scale(domain=names, range="category")
    legend = alt.Legend(title=None, orient="top", symbolType="circle", symbolOpacity=1)
    count = alt.Axis(title=None, tickCount=4, format="d", tickMinStep=1)
    lines = []
    for field, name in zip(("calls", "requests"), names, strict=True):
        kind = chart.transform_calculate(kind=json.dumps(name))
        hue = alt.Color("kind:N", scale=color, legend=legend)
        lines += [
            kind.mark_circle(size=18, opacity=0.45).encode(
                _DAY, alt.Y(f"{field}:Q", axis=count), hue
            ),
            kind.mark_line(strokeWidth=2.5, interpolate="monotone").encode(
                _DAY, alt.Y(f"{field}Mean:Q"), hue
            ),
        ]
    near = alt.selection_point(
        nearest=True, on="pointerover", clear="pointerout", encodings=["x"], empty=False
    )
    pointer = (
        chart.mark_rule(strokeWidth=1)
        .encode(
            _DAY,
            opacity=alt.when(near).then(alt.value(0.6)).otherwise(alt.value(0)),
            tooltip=[
                alt.Tooltip("date:N", title=texts["day"]),
                alt.Tooltip("calls:Q", title=texts["calls"]),
                alt.Tooltip("requests:Q", title=texts["requests"]),
                alt.Tooltip("callsMean:Q", title=texts["calls_mean"], format=".1f"),
                alt.Tooltip("requestsMean:Q", title=texts["requests_mean"], format=".1f"),
            ],
        )
        .add_params(near)
    )
    return alt.layer(*lines, pointer).properties(
        width="container", height=260, description=texts["days"]
    )


def _hours(texts: Mapping[str, str]) -> Any:
    """Leads by weekday and hour."""
    return (
        _chart("hours", texts["hours"], 168)
        .mark_rect(cornerRadius=2)
        .encode(
            alt.X(
                "hour:O",
                axis=alt.Axis(
                    title=None, labelAngle=0, values=[0, 3, 6, 9, 12, 15, 18, 21], domain=False
                ),
            ),
            alt.Y("weekday:O", sort=alt.EncodingSortField("number", op="min"), title=None),
            alt.Color("leads:Q", scale=alt.Scale(zero=True), legend=None),
            tooltip=[
                alt.Tooltip("weekday:N", title=texts["weekday"]),
                alt.Tooltip("hour:O", title=texts["hour"]),
                alt.Tooltip("leads:Q", title=texts["leads"], format=",d"),
            ],
        )
    )


def _paths(texts: Mapping[str, str]) -> Any:
    """Leads by the source of their first visit and that of their last."""
    chart = _chart("paths", texts["paths"], 350).encode(
        alt.X(
            "last:N",
            sort=alt.EncodingSortField("lastRank", op="min"),
            axis=alt.Axis(
                title=texts["last"], orient="top", labelAngle=40, labelLimit=90, domain=False
            ),
        ),
        alt.Y(
            "first:N",
            sort=alt.EncodingSortField("firstRank", op="min"),
            axis=alt.Axis(title=texts["first"], labelLimit=90, domain=False),
        ),
        tooltip=[
            alt.Tooltip("first:N", title=texts["first"]),
            alt.Tooltip("last:N", title=texts["last"]),
            alt.Tooltip("leads:Q", title=texts["leads"], format=",d"),
        ],
    )
    color = alt.Color("leads:Q", scale=alt.Scale(zero=True), legend=None)
    return alt.layer(
        chart.mark_rect(cornerRadius=2).encode(color),
        chart.mark_text(fontSize=11)
        .transform_filter("datum.leads > 0")
        .encode(alt.Text("leads:Q", format=",d")),
    ).properties(width="container", height=350, description=texts["paths"])


def _ads(texts: Mapping[str, str]) -> Any:
    """Leads from advertising by day, with the id of their ad and without."""
    names = [texts["identified"], texts["unidentified"]]
    return (
        _chart("ads", texts["ads"], 98)
        .mark_bar(cornerRadius=1.5)
        .encode(
            alt.X(
                "date:O",
                sort=alt.EncodingSortField("day", op="min"),
                axis=alt.Axis(title=None, labelAngle=0, labelOverlap="greedy", labelSeparation=10),
            ),
            alt.Y("leads:Q", axis=alt.Axis(title=None, tickCount=3, format="d", tickMinStep=1)),
            alt.Color(
                "state:N",
                scale=alt.Scale(domain=names, range="ordinal"),
                legend=alt.Legend(title=None, orient="top"),
            ),
            order=alt.Order("rank:Q"),
            tooltip=[
                alt.Tooltip("date:N", title=texts["day"]),
                alt.Tooltip("state:N", title=texts["ads_state"]),
                alt.Tooltip("leads:Q", title=texts["leads"], format=",d"),
            ],
        )
    )
