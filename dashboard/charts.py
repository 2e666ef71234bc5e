"""The two charts of a card, as plotly figures: no tiles, nothing from elsewhere.

Plotly reads tags in its texts, so every word from outside is escaped.
"""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, tzinfo
from html import escape
from itertools import pairwise
from typing import Any

import plotly.graph_objects as go

from dashboard.answers import Fix, Place, Zone
from dashboard.day import Hour, behaviours_in
from dashboard.places import Origin
from dashboard.watch import TRACK
from dashboard.words import accuracy, capital, doing, freshness

INK, FAINT, GRID, ACCENT = "#24312f", "#7c8784", "#eceae4", "47, 125, 107"
FONT = {"family": '"Source Sans", sans-serif', "size": 12, "color": FAINT}
CHART_CONFIG = {"displayModeBar": False, "scrollZoom": False, "doubleClick": "reset"}
PLACE_HEIGHT_PX, DAY_HEIGHT_PX = 260, 130
FADES = 8  # pieces of the track's line: enough to look like one that fades
LEAST_SPAN_M = 60.0  # closer would show nothing but the receiver's noise
MARGIN = 1.25  # of the farthest thing shown
SPANS_M = (1, 1.5, 2, 3, 5, 7.5, 10)  # times a power of ten: the frame stands still between fixes


def place_chart(
    place: Place, track: Sequence[Fix], zones: Mapping[str, Zone], origin: Origin, now: datetime
) -> go.Figure:
    """Metres around home: the last hour's track fading, where the pet is, and the zones."""
    figure = go.Figure(layout=_layout(PLACE_HEIGHT_PX))
    for zone in zones.values():
        _draw_zone(figure, zone, origin)
    points = [(fix, *origin.metres(fix.lat_deg, fix.lon_deg)) for fix in track]
    pieces = min(FADES, len(points))
    cuts = [len(points) * step // pieces for step in range(pieces + 1)] if pieces else []
    for begin, end in pairwise(cuts):
        piece = points[begin : end + 1]  # to the next one's first point, so that they join
        figure.add_scatter(
            x=[east_m for _, east_m, _ in piece],
            y=[north_m for _, _, north_m in piece],
            mode="lines",
            line={"width": 2.5, "color": _faded(piece[-1][0], now)},
            hoverinfo="skip",
        )
    figure.add_scatter(
        x=[east_m for _, east_m, _ in points],
        y=[north_m for _, _, north_m in points],
        mode="markers",
        marker={
            "size": 6,
            "color": [_faded(fix, now) for fix, *_ in points],
        },
        text=[
            f"{freshness(fix.observed_at, now)}, {accuracy(fix.accuracy_m)}" for fix, *_ in points
        ],
        hoverinfo="text",
    )
    east_m, north_m = origin.metres(place.lat_deg, place.lon_deg)
    _draw_circle(
        figure, east_m, north_m, place.accuracy_m, f"rgba({ACCENT}, 0.14)", f"rgba({ACCENT}, 0.35)"
    )
    figure.add_scatter(
        x=[east_m],
        y=[north_m],
        mode="markers",
        marker={"size": 15, "color": f"rgb({ACCENT})", "line": {"width": 3, "color": "white"}},
        text=[f"{freshness(place.observed_at, now)}, {accuracy(place.accuracy_m)}"],
        hoverinfo="text",
    )
    shown = [(east_m, north_m), *((east, north) for _, east, north in points)]
    _frame(figure, shown, place.accuracy_m, zones, origin)
    return figure


def day_chart(hours: Sequence[Hour], zone: tzinfo) -> go.Figure:
    """Minutes per behaviour, stacked, for each hour of the last day."""
    figure = go.Figure(layout=_layout(DAY_HEIGHT_PX))
    wall = [hour.begins_at.astimezone(zone).replace(tzinfo=None) for hour in hours]
    for behaviour in behaviours_in(hours):
        shown = doing(behaviour)
        name = escape(capital(shown.text))
        figure.add_bar(
            x=[begin + timedelta(minutes=30) for begin in wall],
            y=[hour.minutes.get(behaviour, 0.0) for hour in hours],
            width=54 * 60_000,  # milliseconds: a little air between the hours
            name=name,
            marker={"color": shown.colour, "line": {"width": 0}},
            customdata=[f"{begin:%H:%M}" for begin in wall],
            hovertemplate=f"%{{customdata}} {name}: %{{y:.0f}} min<extra></extra>",
        )
    figure.update_layout(
        barmode="stack",
        xaxis={
            "tickformat": "%H:%M",
            "dtick": 6 * 3_600_000,
            "range": [wall[0], wall[-1] + timedelta(hours=1)],
        },
        yaxis={"range": [0, 61], "tickvals": [0, 30, 60]},
    )
    return figure


def _layout(height_px: int) -> dict[str, Any]:
    axis = {"gridcolor": GRID, "zeroline": False, "fixedrange": True, "tickfont": FONT}
    return {
        "height": height_px,
        "margin": {"l": 8, "r": 8, "t": 8, "b": 8},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": FONT,
        "showlegend": False,
        "hoverlabel": {"bgcolor": "white", "bordercolor": GRID, "font": FONT | {"color": INK}},
        "uirevision": "keep",  # a new fix leaves what the reader switched off as it is
        "xaxis": axis | {"automargin": True},
        "yaxis": axis | {"automargin": True},
    }


def _faded(fix: Fix, now: datetime) -> str:
    strength = min(0.7, max(0.08, 0.7 * (1 - (now - fix.observed_at) / TRACK)))
    return f"rgba({ACCENT}, {strength:.2f})"


def _draw_zone(figure: go.Figure, zone: Zone, origin: Origin) -> None:
    east_m, north_m = origin.metres(zone.lat_deg, zone.lon_deg)
    _draw_circle(
        figure, east_m, north_m, zone.radius_m, "rgba(232, 169, 95, 0.07)", "#e0b277", dash="dot"
    )
    figure.add_annotation(
        x=east_m,
        y=north_m + zone.radius_m,
        text=escape(zone.name),
        showarrow=False,
        yanchor="bottom",
        font=FONT | {"color": "#b07f3f"},
    )


def _draw_circle(
    figure: go.Figure,
    east_m: float,
    north_m: float,
    radius_m: float,
    fill: str,
    line: str,
    dash: str = "solid",
) -> None:
    figure.add_shape(
        type="circle",
        x0=east_m - radius_m,
        x1=east_m + radius_m,
        y0=north_m - radius_m,
        y1=north_m + radius_m,
        fillcolor=fill,
        line={"width": 1.5, "color": line, "dash": dash},
        layer="below",
    )


def _frame(
    figure: go.Figure,
    shown: Sequence[tuple[float, float]],
    accuracy_m: float,
    zones: Mapping[str, Zone],
    origin: Origin,
) -> None:
    """Show everything around home at one scale, in round steps so that it rarely moves."""
    reach = [max(abs(north_m), abs(east_m) / 1.6) for east_m, north_m in shown]
    reach.append(max(abs(shown[0][1]), abs(shown[0][0]) / 1.6) + accuracy_m)
    for zone in zones.values():
        east_m, north_m = origin.metres(zone.lat_deg, zone.lon_deg)
        reach.append(max(abs(north_m), abs(east_m) / 1.6) + zone.radius_m)
    span_m = max(LEAST_SPAN_M / 2, max(reach) * MARGIN)
    power = 10 ** math.floor(math.log10(span_m))
    half_m = next(step * power for step in SPANS_M if step * power >= span_m)
    figure.update_yaxes(range=[-half_m, half_m], nticks=5, ticksuffix=" m")
    figure.update_xaxes(
        scaleanchor="y", constrain="range", range=[-half_m, half_m], nticks=7, ticksuffix=" m"
    )
    figure.add_annotation(
        text="N ↑", x=1, y=1, xref="paper", yref="paper", showarrow=False, font=FONT
    )
