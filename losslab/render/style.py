"""What roles look like: the one palette of screen and paper. Colours are hex.

The inks are those of the stage (losslab/stage/ink.js): Petroff's ten (arXiv 2107.02270), of which no two collapse under
colour blindness, and Okabe and Ito's seven where those suffice.
"""

from dataclasses import dataclass

PETROFF = (
    "#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6", "#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd",
)  # fmt: skip
OKABE_ITO = ("#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7")
SERIES = ("#3f90da", "#e76300", "#832db6", "#009E73", "#bd1f01", "#a96b59", "#717581", "#ffa90e")  # of losses
VIRIDIS = (
    "#440154", "#482878", "#3e4a89", "#31688e", "#26828e", "#1f9e89", "#35b779", "#6ece58", "#b5de2b", "#fde725",
)  # fmt: skip
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot", "solid", "dash")  # of losses: seen in grey too


@dataclass(frozen=True)
class Theme:
    """The page a picture stands on."""

    background: str
    text: str
    soft: str  # secondary text
    hair: str  # rules and ticks
    margin: str  # the strip that nobody clears
    dark: bool

    def ramp(self) -> list[tuple[float, str]]:
        """Ink of a magnitude from 0 to 1: the large end stands out from the page."""
        inks = VIRIDIS if self.dark else VIRIDIS[::-1]
        return [(i / (len(inks) - 1), ink) for i, ink in enumerate(inks)]

    def on_ramp(self, share: float) -> str:
        """Ink that is read over the ramp's."""
        high = share > (0.66 if self.dark else 0.48)
        return self.background if high else self.text


LIGHT = Theme("#ffffff", "#22252b", "#646a73", "#d8dbe0", "#c9ccd2", False)
DARK = Theme("#14161a", "#e8eaee", "#a6abb3", "#3a3f48", "#4a4f58", True)


def class_inks(count: int) -> tuple[str, ...]:
    """One colour a class; with more than ten, ten and then grey."""
    palette = OKABE_ITO if count <= len(OKABE_ITO) else PETROFF
    return tuple(palette[k] if k < len(palette) else "#8a8f98" for k in range(count))


def faint(colour: str, alpha: float) -> str:
    """A colour that lets through what is behind it."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{alpha:g})"


def readable(colour: str) -> str:
    """Black or white, whichever reads better on the colour."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in parts]
    light = sum(weight * v for weight, v in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
    return "#111318" if light > 0.19 else "#ffffff"
