"""What roles look like on paper: inks, widths in points, dashes and hatches, and Matplotlib's settings."""

from dataclasses import dataclass
from typing import Any

from matplotlib.colors import LinearSegmentedColormap, to_hex, to_rgb

from losslab.render.style import LIGHT

COLUMN = 4.5  # inches: what is wider spans two columns
TALLEST = 4.4  # inches, of a picture with equal axes
FULL = 9.0  # inches: the height of a page
SMALL = 2.2  # inches: markers in panels that are narrower are smaller
TICK = 0.27  # inches that a number on an axis needs
HAIR = 0.4  # points: the thinnest line that every press holds
EVEN = [1, 2, 2.5, 5, 10]  # between the numbers of an axis
STEPS = 24  # inks of a magnitude
MOST_WRITTEN = 12  # rows of a table whose numbers are written into it
LONGEST_ARROW = 0.09  # of the picture's width
DARKEST = 0.45  # luminance above which a line is too pale for white paper
LABEL = 7.5  # points: what axes show
SHEET = {
    "font.family": "DejaVu Sans",  # comes with Matplotlib: the same on every machine
    "font.size": 7,
    "axes.labelsize": LABEL,
    "axes.linewidth": 0.5,
    "axes.edgecolor": LIGHT.soft,
    "axes.labelcolor": LIGHT.text,
    "text.color": LIGHT.text,
    "xtick.color": LIGHT.soft,
    "ytick.color": LIGHT.soft,
    "xtick.labelcolor": LIGHT.text,
    "ytick.labelcolor": LIGHT.text,
    "xtick.major.width": 0.5,
    "ytick.major.width": 0.5,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": LIGHT.hair,
    "grid.linewidth": HAIR,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "legend.handlelength": 2.4,
    "legend.columnspacing": 1.2,
    "legend.handletextpad": 0.5,
    "legend.labelspacing": 0.25,
    "legend.borderpad": 0,
    "legend.borderaxespad": 0.2,
    "hatch.linewidth": HAIR,
    "lines.solid_capstyle": "butt",
    "text.parse_math": False,  # names come from whoever names a class
    "text.hinting": "no_hinting",
    "pdf.fonttype": 42,
    "svg.fonttype": "none",
    "svg.hashsalt": "losslab",
}
# Lines by role: ink (of the theme, or their own), width in points, dashes in widths, how much they cover.
SOLID, DASH, DOT = "solid", (0, (3.6, 1.6)), (0, (1, 1.4))
LINES: dict[str, tuple[str, float, Any, float]] = {
    "guide": ("soft", 0.5, SOLID, 1),
    "boundary": ("text", 0.8, DASH, 1),
    "other": ("", 0.8, DOT, 1),
    "flow": ("", 1.3, SOLID, 1),
    "profile": ("text", 0.8, DOT, 1),
    "stream": ("text", 0.8, SOLID, 1),
    "spoke": ("", 1, SOLID, 1),
    "rim": ("soft", 0.5, SOLID, 1),
    "hidden": ("hair", HAIR, DOT, 1),
    "faint": ("", 0.8, SOLID, 0.5),
    "bars": ("", 0.5, SOLID, 1),
    "gap": ("", 1.3, SOLID, 1),
    "outline": ("", 1.1, SOLID, 1),
    "second": ("", 1, DASH, 1),
    "breath": ("", HAIR, SOLID, 0.6),
    "length": ("", 0.6, DOT, 0.9),
    "arc": ("", 4, SOLID, 1),
    "plain": ("", 1.1, SOLID, 1),
    "rule": ("text", 0.5, SOLID, 1),
    "graticule": ("hair", HAIR, SOLID, 1),
    "behind": ("", HAIR, DASH, 0.4),
    "narrowest": ("text", 1.6, SOLID, 1),
}
CURVES = {  # of losses, by the names of `style.DASHES`
    "solid": SOLID,
    "dash": DASH,
    "dot": (0, (1, 1.2)),
    "dashdot": (0, (3.6, 1.3, 1, 1.3)),
    "longdash": (0, (7, 1.8)),
    "longdashdot": (0, (7, 1.5, 1, 1.5)),
}
SIZES = {"prototype": 8.5, "drawn": 8, "sample": 2.8, "drop": 4.5, "cross": 4.5, "class": 4.5, "past": 4.5, "behind": 2}
SHAPES = {"drawn": "*", "cross": "X"}
MARKERS = "os^DvP<X>p"  # of classes and losses in grey
HATCHES = ("////", "\\\\\\\\", "....", "xxxx", "----", "||||", "++++", "oooo")
GREYS = ("#1c1c1c", "#767676", "#4a4a4a", "#9a9a9a", "#333333", "#8a8a8a", "#5f5f5f", "#a8a8a8")
PAPER = {"facecolor": (LIGHT.background, 0.75), "linewidth": 0, "pad": 0.5}  # under words that stand over a picture
WORDS = {
    "word": ("center", "center", "text"),
    "caption": ("center", "top", "soft"),
    "remark": ("left", "center", "text"),
}


@dataclass(frozen=True)
class Inks:
    """What colours are on this sheet."""

    grey: bool
    own: tuple[str, ...]  # of classes or of losses

    def tone(self, colour: str) -> str:
        return tone(colour, self.grey)

    def line(self, of: int | None) -> str:
        """Of lines and markers: dark enough for white paper."""
        if of is None:
            return self.tone(LIGHT.text)
        return GREYS[of % len(GREYS)] if self.grey else printed(self.own[of % len(self.own)])

    def fill(self, of: int | None) -> str:
        if of is None:
            return self.tone(LIGHT.text)
        return GREYS[of % len(GREYS)] if self.grey else self.own[of % len(self.own)]

    def marker(self, of: int | None) -> str:
        return MARKERS[of % len(MARKERS)] if self.grey and of is not None else "o"

    def hatch(self, of: int | None) -> str | None:
        return HATCHES[of % len(HATCHES)] if self.grey and of is not None else None

    def ramp(self) -> LinearSegmentedColormap:
        stops = [(place, self.tone(ink)) for place, ink in LIGHT.ramp()]
        return LinearSegmentedColormap.from_list("magnitude", stops)


def tone(colour: str, grey: bool) -> str:
    """The colour, or the grey that is as light."""
    return to_hex((luminance(colour) ** (1 / 2.2),) * 3) if grey else colour


def luminance(colour: str) -> float:
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in to_rgb(colour)]
    return sum(weight * v for weight, v in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def printed(colour: str) -> str:
    """The colour, darkened until a thin line of it is seen on white."""
    share = min(1.0, (DARKEST / max(luminance(colour), 1e-6)) ** (1 / 2.4))
    return to_hex(tuple(share * v for v in to_rgb(colour)))
