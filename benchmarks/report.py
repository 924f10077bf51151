"""What was measured, as tables that say beside each number what it should be and whether it is."""

import math
import os
import platform
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median

from .browser import chromium_version

NEAR = 0.01  # a target is reached within this share of it: 60 frames a second are 59.8 when counted for three seconds
HEAD = ("what", "ours", "peer", "ratio", "target", "reached")


@dataclass(frozen=True)
class Row:
    """One question. Values are what single tries gave (none: it cannot be done); the median counts.

    `ratio` says how many times better ours is. A row without targets is there to be known.
    """

    what: str
    ours: Sequence[float]
    peer: Sequence[float] | None = None
    unit: str = "s"
    more: bool = False  # is more better?
    target: float | None = None
    target_ratio: float | None = None

    @property
    def ratio(self) -> float | None:
        if not self.ours or not self.peer:
            return None
        better, worse = median(self.ours), median(self.peer)
        if not self.more:
            better, worse = worse, better
        return better / worse if worse else math.inf

    def cells(self) -> list[str]:
        goals, met = [], []
        if self.target is not None:
            goals.append(f"{'at least' if self.more else 'at most'} {self.target:g} {self.unit}")
            far = median(self.ours or [math.nan]) / self.target
            met.append(far >= 1 - NEAR if self.more else far <= 1 + NEAR)
        if self.target_ratio is not None:
            goals.append(f"{self.target_ratio:g} times")
            met.append(self.ratio is not None and self.ratio >= self.target_ratio)
        return [
            self.what,
            cell(self.ours, self.unit),
            "" if self.peer is None else cell(self.peer, self.unit),
            "" if self.ratio is None else f"{self.ratio:.1f}",
            ", ".join(goals),
            ", ".join("yes" if each else "no" for each in met),
        ]


@dataclass(frozen=True)
class Table:
    title: str
    peer: str  # what ours is measured against, and how both were: one paragraph
    rows: list[Row]


def cell(values: Sequence[float], unit: str) -> str:
    """The median, and how far the tries lie apart."""
    if not values:
        return "cannot"
    low, high = number(min(values)), number(max(values))
    spread = "" if low == high else f" ({low} to {high})"
    return f"{number(median(values))} {unit}{spread}"


def number(value: float) -> str:
    if math.isinf(value):
        return "never"
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def markdown(table: Table) -> str:
    """The table in Markdown, its columns aligned for those who read it in a terminal."""
    lines = [list(HEAD), *(row.cells() for row in table.rows)]
    wide = [max(len(line[column]) for line in lines) for column in range(len(HEAD))]
    rows = ["| " + " | ".join(text.ljust(w) for text, w in zip(line, wide, strict=True)) + " |" for line in lines]
    rows.insert(1, "| " + " | ".join("-" * w for w in wide) + " |")
    return "\n".join([f"### {table.title}", "", table.peer, "", *rows, ""])


def machine() -> str:
    """Cores, processor, memory and versions: what a reader needs to compare, and nothing that names the machine."""
    memory = f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB"
    packages = ", ".join(f"{name} {installed(name)}" for name in ("torch", "streamlit", "plotly"))
    return (
        f"{os.cpu_count()} cores of {processor()}, {memory}, Python {platform.python_version()}, {packages}, "
        f"Chromium {chromium_version()}"
    )


def processor() -> str:
    """The processor's own name where the system tells it, with its family: the name alone can be a whole range."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor() or platform.machine()
    facts = dict(re.findall(r"^(model name|cpu family|model)\s*: (.+)$", text, re.MULTILINE))
    return (
        f"{facts.get('model name', platform.machine())} (family {facts.get('cpu family')}, model {facts.get('model')})"
    )


def installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
