"""The charts, as Altair builds them. The page hands them rows, and CSS hands them colours.

Days and names are texts that the page has written in its language.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import altair as alt

if TYPE_CHECKING:
    from collections.abc import Mapping

CALLS, REQUESTS = "var(--calls)", "var(--requests)"
RAMP = [f"var(--ramp-{step})" for step in range(5)]
_COUNT = alt.Axis(title=None, tickCount=4, format="d", tickMinStep=1)


def charts(texts: Mapping[str, str]) -> dict[str, Any]:
    """Return the Vega-Lite specification of each chart, by the name of its data."""
    made = {
        "days": _days(texts),
        "hours": _hours(texts),
        "calls": _calls(texts),
        "paths": _paths(texts),
        "ads": _ads(texts),
    }
    return {name: chart.to_dict() for name, chart in made.items()}


def _chart(name: str, height: int) -> alt.Chart:
    return alt.Chart(alt.NamedData(name), width="container", height=height)


def _days(texts: Mapping[str, str]) -> Any:
    """Calls and requests of each day as dots, unfinished days hollow; means of a week as lines."""
    names = {"calls": texts["calls"], "requests": texts["requests"]}
    color = alt.Color(
        "kind:N",
        scale=alt.Scale(domain=list(names.values()), range=[CALLS, REQUESTS]),
        legend=alt.Legend(title=None, orient="top", symbolType="circle"),
    )
    day = alt.X(
        "day:T",
        scale=alt.Scale(type="utc"),
        axis=alt.Axis(format="%-d %b", title=None, grid=False, labelOverlap=True, tickCount=8),
    )
    chart = _chart("days", 260)
    layers: list[Any] = []
    for field, name in names.items():
        kind = chart.transform_calculate(kind=f"'{name}'")
        layers += [
            kind.mark_line(strokeWidth=2.5, interpolate="monotone").encode(
                day, alt.Y(f"{field}Mean:Q", axis=_COUNT), color
            ),
            kind.mark_circle(size=16, opacity=1)
            .transform_filter("!datum.unfinished")
            .encode(day, alt.Y(f"{field}:Q"), color),
            kind.mark_point(size=34, opacity=1, strokeWidth=1.5)
            .transform_filter("datum.unfinished")
            .encode(day, alt.Y(f"{field}:Q"), color),
        ]
    # A band for each day, as high as the chart, is easier to hit than its dots.
    near = alt.selection_point(on="pointerover", clear="pointerout", fields=["day"], empty=False)
    bands = (
        chart.mark_rect(fill="var(--ink)")
        .encode(
            alt.X("begin:T", scale=alt.Scale(type="utc")),
            alt.X2("end:T"),
            fillOpacity=alt.when(near).then(alt.value(0.08)).otherwise(alt.value(0)),
            tooltip=[
                alt.Tooltip("date:N", title=texts["day"]),
                alt.Tooltip("calls:Q", title=texts["calls"], format=",d"),
                alt.Tooltip("requests:Q", title=texts["requests"], format=",d"),
                alt.Tooltip("callsMeanText:N", title=texts["calls_mean"]),
                alt.Tooltip("requestsMeanText:N", title=texts["requests_mean"]),
            ],
        )
        .add_params(near)
    )
    return alt.layer(*layers, bands).properties(width="container", height=260)


def _hour_axis() -> alt.Axis:
    return alt.Axis(
        title=None, labelAngle=0, labelOverlap=False, values=[*range(0, 24, 3)], domain=False
    )


def _heat(texts: Mapping[str, str]) -> alt.Color:
    """The colour of a cell, by its leads in five steps that the legend names."""
    return alt.Color(
        "leads:Q",
        scale=alt.Scale(type="quantize", range=RAMP, zero=True, nice=True),
        legend=alt.Legend(
            title=texts["leads"],
            type="gradient",
            orient="bottom",
            direction="horizontal",
            gradientThickness=10,
            gradientLength=150,
            format=",d",
        ),
    )


def _hours(texts: Mapping[str, str]) -> Any:
    """Leads by weekday and hour."""
    return (
        _chart("hours", 168)
        .mark_rect(cornerRadius=2)
        .encode(
            alt.X("hour:O", axis=_hour_axis()),
            alt.Y("weekday:O", sort=alt.EncodingSortField("number", op="min"), title=None),
            _heat(texts),
            tooltip=[
                alt.Tooltip("weekday:N", title=texts["weekday"]),
                alt.Tooltip("hour:O", title=texts["hour"]),
                alt.Tooltip("leads:Q", title=texts["leads"], format=",d"),
            ],
        )
    )


def _paths(texts: Mapping[str, str]) -> Any:
    """Leads by the source of their first visit and that of their last."""
    last = alt.Axis(title=texts["last"], orient="top", labelAngle=40, labelLimit=90, domain=False)
    first = alt.Axis(title=texts["first"], labelLimit=90, domain=False)
    chart = _chart("paths", 350).encode(
        alt.X("last:N", sort=alt.EncodingSortField("lastRank", op="min"), axis=last),
        alt.Y("first:N", sort=alt.EncodingSortField("firstRank", op="min"), axis=first),
        tooltip=[
            alt.Tooltip("first:N", title=texts["first"]),
            alt.Tooltip("last:N", title=texts["last"]),
            alt.Tooltip("leads:Q", title=texts["leads"], format=",d"),
        ],
    )
    return alt.layer(
        chart.mark_rect(cornerRadius=2).encode(_heat(texts)),
        chart.mark_text(fontSize=11)
        .transform_filter("datum.leads > 0")
        .encode(alt.Text("leads:Q", format=",d")),
    ).properties(width="container", height=350)


def _ads(texts: Mapping[str, str]) -> Any:
    """Leads from advertising by day, with the id of their ad and without."""
    scale = alt.Scale(
        domain=[texts["identified"], texts["unidentified"]], range=[CALLS, "var(--missing)"]
    )
    return _bars("ads", "state", scale, 98).encode(
        alt.X(
            "date:O",
            sort=alt.EncodingSortField("day", op="min"),
            axis=alt.Axis(title=None, labelAngle=0, labelOverlap="greedy", labelSeparation=10),
        ),
        tooltip=[
            alt.Tooltip("date:N", title=texts["day"]),
            alt.Tooltip("state:N", title=texts["ads_state"]),
            alt.Tooltip("leads:Q", title=texts["leads"], format=",d"),
        ],
    )


def _calls(texts: Mapping[str, str]) -> Any:
    """Calls by hour, answered and missed."""
    scale = alt.Scale(domain=[texts["answered"], texts["missed"]], range=[CALLS, "var(--missing)"])
    return _bars("calls", "state", scale, 120).encode(
        alt.X("hour:O", axis=_hour_axis()),
        tooltip=[
            alt.Tooltip("hour:O", title=texts["hour"]),
            alt.Tooltip("state:N", title=texts["calls_state"]),
            alt.Tooltip("leads:Q", title=texts["calls"], format=",d"),
            alt.Tooltip("share:N", title=texts["calls_share"]),
        ],
    )


def _bars(name: str, field: str, scale: alt.Scale, height: int) -> Any:
    """Bars of leads, one part on the other in the order of their rank."""
    return (
        _chart(name, height)
        .mark_bar(cornerRadius=1.5)
        .encode(
            y=alt.Y("leads:Q", axis=_COUNT),
            color=alt.Color(f"{field}:N", scale=scale, legend=alt.Legend(title=None, orient="top")),
            order=alt.Order("rank:Q"),
        )
    )
