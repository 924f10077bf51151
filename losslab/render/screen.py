"""Scenes in Plotly: the JSON of a figure for the browser, and pages that stand alone.

Figures are made as plain dictionaries: Plotly's own classes check every number, which takes longer than all the rest.
A test holds every scene against them.
"""

import base64
import math
import textwrap
from typing import Any

import numpy as np

from losslab.scene import CHART, CIRCLE, PLANE, SPHERE, Area, Arrows, Axis, Mark, Path, Points, Scene

from . import style
from .style import LIGHT, Theme, faint

Figure = dict[str, Any]  # {"data": [...], "layout": {...}} as plotly.js takes it
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif"
LONGEST_ARROW = 0.09  # of the picture's width
LONGEST_LINE = 110  # characters below a picture
POINTED_AT = ("region", "level", "cells", "sample")  # in charts: roles that are read one by one
MOST_WRITTEN = 12  # rows of a table whose numbers are written into it
# Where words stand beside their place, how heavy they are, and in which ink of the theme.
WORDS = {"word": ("middle center", 600, "text"), "caption": ("bottom center", 400, "soft"),
         "remark": ("middle right", 400, "text")}  # fmt: skip


def figure(scene: Scene, theme: Theme = LIGHT) -> Figure:
    """The scene as a Plotly figure. Charts and the plane as they are; the circle and the sphere in three dimensions
    where `flattened` was not asked for before."""
    if scene.space in (CIRCLE, SPHERE):
        raise ValueError("A scene on the sphere must be flattened first: see losslab.render.ball.")
    inks = inks_of(scene)
    data = [trace for mark in scene.marks for trace in traces(mark, scene, inks, theme)]
    made = {"data": data, "layout": layout(scene, theme)}
    return bent(made, scene.y.knee) if scene.y.knee else made


def bent(made: Figure, knee: float) -> Figure:
    """The figure with a y axis that is logarithmic to both sides of zero. Hovering tells the true numbers."""
    drawn = [trace for trace in made["data"] if "y" in trace]
    highest = max((abs(v) for trace in drawn for v in trace["y"] if v is not None), default=knee)
    for trace in drawn:
        trace["customdata"] = trace["y"]
        trace["y"] = [None if v is None else decades(v, knee) for v in trace["y"]]
        if trace["hoverinfo"] != "skip":
            trace["hovertemplate"] = f"%{{customdata:.3g}}<extra>{trace['name']}</extra>"
    powers = [knee * 10**i for i in range(1 + max(1, math.ceil(math.log10(highest / knee))))]
    ticks = [-v for v in reversed(powers)] + [0.0] + powers
    made["layout"]["yaxis"] |= {"tickvals": [decades(v, knee) for v in ticks], "ticktext": [f"{v:g}" for v in ticks]}
    return made


def decades(value: float, knee: float) -> float:
    """How many powers of ten a number is above the knee, and one more; with its sign. Even below the knee."""
    size = abs(value) / knee
    return math.copysign(size if size < 1 else 1 + math.log10(size), value)


def inks_of(scene: Scene) -> tuple[str, ...]:
    """The colours that `of` and `each` stand for."""
    return style.class_inks(max(len(scene.names), 1)) if scene.by_class else style.SERIES


def traces(mark: Mark, scene: Scene, inks: tuple[str, ...], theme: Theme) -> list[dict]:
    ink = theme.text if mark.of is None else inks[mark.of % len(inks)]
    shown = {"name": mark.name, "showlegend": bool(mark.name), "hoverinfo": "x+y+name" if mark.name else "skip"}
    match mark:
        case Area(role="ground"):
            return ground(mark, scene, theme)
        case Area(role="cells"):
            return cells(mark, theme)
        case Area():
            return area(mark, ink, shown, theme)
        case Path():
            drawn = {"type": "scatter", "mode": "lines", **xy(mark.at), **shown,
                     "line": line(mark, ink, theme) | {"simplify": False}}  # fmt: skip
            if mark.role == "stream":  # over a ground of any ink
                return [drawn | {"line": {"color": faint(theme.background, 0.6), "width": 4}}, drawn]
            if mark.role == "bars":
                drawn |= {"fill": "tozeroy", "fillcolor": faint(ink, 0.3)}
            return [drawn]
        case Points():
            return [points(mark, ink, inks, shown, theme)]
        case Arrows():
            return arrows(mark, ink, scene, theme)
    return []


def line(mark: Path, ink: str, theme: Theme) -> dict:
    looks = {
        "guide": {"color": theme.soft, "width": 1},
        "boundary": {"color": theme.text, "width": 1.4, "dash": "dash"},
        "other": {"color": ink, "width": 1.4, "dash": "dot"},
        "flow": {"color": ink, "width": 3},
        "profile": {"color": theme.text, "width": 1.4, "dash": "dot"},
        "stream": {"color": theme.text, "width": 1.4},
        "spoke": {"color": ink, "width": 2},
        "rim": {"color": theme.soft, "width": 1},
        "hidden": {"color": theme.hair, "width": 1, "dash": "dot"},
        "faint": {"color": faint(ink, 0.5), "width": 1.4},
        "bars": {"color": ink, "width": 1},
        "gap": {"color": ink, "width": 2.8},
        # of the sphere and the circle, flattened
        "outline": {"color": ink, "width": 2},
        "second": {"color": ink, "width": 1.8, "dash": "6px,4px"},
        "breath": {"color": faint(ink, 0.5), "width": 1},
        "length": {"color": faint(ink, 0.8), "width": 1.2, "dash": "2px,3px"},
        "arc": {"color": ink, "width": 8},
        "plain": {"color": ink, "width": 2},
        "rule": {"color": theme.text, "width": 1},
        "graticule": {"color": theme.hair, "width": 0.6},
        "behind": {"color": faint(ink, 0.25), "width": 1, "dash": "4px,3px"},
        "narrowest": {"color": theme.text, "width": 3},
    }
    return looks.get(mark.role) or {
        "color": ink,
        "width": 2.4,
        "dash": style.DASHES[(mark.of or 0) % len(style.DASHES)],
    }


def points(mark: Points, ink: str, inks: tuple[str, ...], shown: dict, theme: Theme) -> dict:
    size = {"prototype": 15, "drawn": 14, "sample": 6, "drop": 12, "cross": 11, "class": 11, "past": 10}.get(
        mark.role, 7
    )
    symbol = {"prototype": "circle", "drawn": "star", "cross": "x", "past": "circle-open"}.get(mark.role, "circle")
    colour: Any = ink if mark.each is None else [inks[k % len(inks)] for k in mark.each.tolist()]
    look = {"size": size, "symbol": symbol, "color": colour, "line": {"width": 1, "color": theme.background}}
    if mark.role == "past":
        look["line"] = {"width": 2}
    if mark.value is not None:
        look |= {"color": numbers(mark.value), "colorscale": theme.ramp(), "showscale": True,
                 "colorbar": {"thickness": 10, "len": 0.7, "tickfont": {"size": 11}}}  # fmt: skip
    if mark.role in WORDS:
        where, weight, tone = WORDS[mark.role]
        font = {"size": 12, "weight": weight, "color": getattr(theme, tone)}
        return {"type": "scatter", "mode": "text", **xy(mark.at), "text": list(mark.words), "textposition": where,
                "textfont": font, **shown}  # fmt: skip
    if mark.role == "behind":
        look |= {"size": 5, "opacity": 0.22}
    words = {"text": list(mark.words), "textposition": "top center"} if mark.words else {}
    if mark.role == "prototype" and max(map(len, mark.words), default=0) < 3:
        tones = [style.readable(each) for each in ([colour] if isinstance(colour, str) else colour)]
        words |= {"textposition": "middle center", "textfont": {"size": 10, "color": tones}}
    return {"type": "scatter", "mode": "markers+text" if words else "markers", **xy(mark.at), "marker": look, **words,
            **shown}  # fmt: skip


def arrows(mark: Arrows, ink: str, scene: Scene, theme: Theme) -> list[dict]:
    """Each arrow a stroke with two barbs, all of one magnitude class in one line: a few dozen traces at most. Arrows of
    one role have one scale."""
    size, alike = mark.size, [each for each in scene.of_role(mark.role) if isinstance(each, Arrows)]
    if not len(size):
        return []
    span = float(np.ptp(np.concatenate([each.at for each in alike]), axis=0).max()) or 1.0
    top = float(np.quantile(np.concatenate([each.size for each in alike]), 0.98)) or 1.0
    share = np.clip(size / top, 0, 1)
    along = mark.along / np.maximum(np.linalg.norm(mark.along, axis=1, keepdims=True), 1e-12)
    reach = LONGEST_ARROW * span * (0.45 if mark.role == "push" else 1)
    tip = mark.at + along * (np.sqrt(share) * reach)[:, None]
    side = np.stack([-along[:, 1], along[:, 0]], 1)
    barb = np.sqrt(share)[:, None] * reach * 0.3
    gap = np.full_like(tip, np.nan)
    pieces = np.stack([mark.at, tip, tip - barb * (along + 0.5 * side), tip, tip - barb * (along - 0.5 * side), gap], 1)
    ramp = theme.ramp()
    level = np.minimum((share * (len(ramp) - 1)).round().astype(int), len(ramp) - 1)
    found = []
    for step in np.unique(level):
        colour = ink if mark.of is not None else ramp[step][1]
        if mark.of is None and scene.of_role("ground"):
            colour = theme.on_ramp(math.sqrt(ramp[step][0]))
        path = pieces[level == step].reshape(-1, 2)
        width = 3 if mark.role == "push_prototype" else 1.4
        found.append({"type": "scatter", "mode": "lines", **xy(path), "line": {"color": colour, "width": width},
                      "hoverinfo": "skip", "showlegend": False})  # fmt: skip
    return found


def ground(mark: Area, scene: Scene, theme: Theme) -> list[dict]:
    """A magnitude everywhere. The steps of its ramp are those of the square root, as on the stage's canvas; the discs
    of one sphere have one scale."""
    top = float(np.nanquantile(np.concatenate([each.value.ravel() for each in scene.of_role("ground")]), 0.98)) or 1.0
    return [
        {"type": "heatmap", "x": numbers(mark.x), "y": numbers(mark.y), "z": [numbers(row) for row in mark.value],
         "zsmooth": "best", "colorscale": [(place**2, colour) for place, colour in theme.ramp()], "opacity": 0.8,
         "zmin": 0, "zmax": top, "hoverinfo": "skip", "showlegend": False, "showscale": bool(mark.name),
         "colorbar": {"title": {"text": mark.name, "side": "right"}, "thickness": 10, "len": 0.7}}
    ]  # fmt: skip


def cells(mark: Area, theme: Theme) -> list[dict]:
    """A table of magnitudes by ink, of which the small ones stand out; the numbers themselves where they fit."""
    written = {"texttemplate": "%{z:.0f}"} if len(mark.y) <= MOST_WRITTEN else {}
    return [
        {"type": "heatmap", "x": numbers(mark.x), "y": numbers(mark.y), "z": packed(mark.value), "zsmooth": False,
         "colorscale": theme.ramp(), "reversescale": True, "xgap": 1, "ygap": 1, "showlegend": False,
         "hoverongaps": False, "hovertemplate": "%{y}, %{x}: %{z:.1f}<extra></extra>", **written,
         "colorbar": {"title": {"text": mark.name, "side": "right"}, "thickness": 10, "len": 0.7}}
    ]  # fmt: skip


def area(mark: Area, ink: str, shown: dict, theme: Theme) -> list[dict]:
    grid = {"x": numbers(mark.x), "y": numbers(mark.y), "z": packed(mark.value)}
    plain = {"type": "contour", **grid, "hoverinfo": "skip", "showlegend": False, "connectgaps": False}
    if mark.role == "level":
        return [
            {**plain, "colorscale": theme.ramp(), "contours": {"coloring": "fill"}, "line": {"width": 0},
             "colorbar": {"title": {"text": mark.name, "side": "right"}, "thickness": 10}}
        ]  # fmt: skip
    named = {"name": mark.name, "showlegend": bool(mark.name)}
    if mark.role == "decision":
        zero = {"start": 0, "end": 0, "size": 1, "coloring": "none"}
        return [{**plain, **named, "contours": zero, "autocontour": False, "showscale": False,
                 "line": {"width": 1.6, "color": theme.text, "dash": "dash"}}]  # fmt: skip
    looks = {"margin": (theme.margin, 0.9), "region": (ink, 0.55), "strip": (theme.margin, 0.45), "wash": (ink, 0.16),
             "band": (ink, 0.16), "impossible": (theme.background, 0.72)}  # fmt: skip
    colour, alpha = looks.get(mark.role, (ink, 0.3))
    inside = {"type": "constraint", "operation": "<", "value": 0}  # what breaks a constraint is filled
    edge = {"width": 0 if mark.role in ("margin", "strip", "wash", "band", "impossible") else 1.6, "color": colour}
    filled = {**plain, "contours": inside, "fillcolor": faint(colour, alpha), "line": edge, **named}
    return [filled]


def layout(scene: Scene, theme: Theme) -> dict:
    equal = (
        {}
        if scene.space == CHART and not scene.square
        else {"scaleanchor": "x", "scaleratio": 1, "constrain": "domain"}
    )
    bare = scene.space != CHART and not scene.x.title.strip("xy")
    return {
        "font": {"family": FONT, "size": 13, "color": theme.text},
        "paper_bgcolor": theme.background,
        "plot_bgcolor": theme.background,
        "margin": {"l": 58, "r": 16, "t": 12, "b": 48},
        "xaxis": axis(scene.x, theme, bare) | ({"constrain": "domain"} if equal else {}),
        "yaxis": axis(scene.y, theme, bare) | equal,
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "font": {"size": 12}},
        "hovermode": "closest" if scene.space != CHART or scene.of_role(*POINTED_AT) else "x unified",
        "hoverlabel": {"bgcolor": theme.background, "font": {"color": theme.text}},
        "showlegend": True,
        "uirevision": scene.title,
        "dragmode": "pan" if scene.space == PLANE else "zoom",
    }


def axis(axis: Axis, theme: Theme, bare: bool = False) -> dict:
    made = {
        "title": {"text": "" if bare else axis.label, "standoff": 8, "font": {"size": 13}},
        "gridcolor": theme.hair,
        "zeroline": False,
        "linecolor": theme.soft,
        "showline": True,
        "ticks": "outside",
        "tickcolor": theme.soft,
        "ticksuffix": "°" if axis.unit == "°" else "",
        "automargin": True,
    }
    if axis.low is not None:
        made["range"] = [axis.low, axis.high]
    if axis.ticks is not None:
        made["tickvals"] = list(axis.ticks)
    if axis.words:
        made["ticktext"] = list(axis.words)
    if bare:
        made |= {"visible": False}
    return made


def page(scene: Scene, theme: Theme = LIGHT) -> str:
    """The scene as one HTML file that needs nothing else: it opens without a network, zooms, and says what it shows."""
    from plotly.io import to_html

    made = figure(scene, theme)
    note = "<br>".join(line for text in (scene.says, *scene.notes) for line in textwrap.wrap(text, LONGEST_LINE))
    made["layout"] |= {
        "title": {"text": scene.title, "font": {"size": 18}},
        "margin": {"l": 64, "r": 24, "t": 90, "b": 110},
        "annotations": [{"text": note, "xref": "paper", "yref": "paper", "x": 0, "y": 0, "yanchor": "top",
                         "yshift": -56, "showarrow": False, "align": "left",
                         "font": {"size": 13, "color": theme.soft}}],
    }  # fmt: skip
    return to_html(made, include_plotlyjs=True, full_html=True, validate=False)


def script() -> str:
    """plotly.js itself, for the browser."""
    from plotly.offline import get_plotlyjs

    return get_plotlyjs()


def xy(at: np.ndarray) -> dict:
    return {"x": numbers(at[:, 0]), "y": numbers(at[:, 1])}


def packed(values: np.ndarray) -> dict[str, str]:
    """A grid of numbers as plotly.js unpacks it: a tenth of the time, and a fifth of the size, of writing them out."""
    made = np.ascontiguousarray(values, dtype="<f4")
    return {"dtype": "f4", "bdata": base64.b64encode(made).decode(), "shape": ", ".join(map(str, made.shape))}


def numbers(values: np.ndarray) -> list[float | None]:
    """Numbers as JSON knows them, to five digits; what is none breaks a line."""
    return [None if math.isnan(v) else float(f"{v:.5g}") for v in np.asarray(values, dtype=np.float64).ravel().tolist()]
