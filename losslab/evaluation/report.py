"""Numbers as they are shown and kept."""

import csv
import dataclasses
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from losslab.training.run import replace_text

KINDS = (".csv", ".json")


@dataclass(frozen=True, kw_only=True)
class Result:
    """One number of one set."""

    set: str  # its name
    measure: str  # such as "accuracy" or "TAR at FAR 1e-4"
    value: float  # share, 0 to 1
    threshold: float  # the cosine above which a pair is accepted; of accuracy the mean over folds
    genuine: int  # pairs of one person
    impostor: int  # pairs of two
    spread: float | None = None  # of accuracy: standard deviation over the ten folds
    low: float | None = None  # of a TAR: 95 of 100 resamplings lie from here
    high: float | None = None  # to here
    note: str = ""  # what a reader must know, one sentence

    @property
    def around(self) -> str:
        """How sure the number is, in percent."""
        if self.spread is not None:
            return f"± {100 * self.spread:.2f}"
        return "" if self.low is None or self.high is None else f"{100 * self.low:.2f} to {100 * self.high:.2f}"


FIELDS = tuple(field.name for field in dataclasses.fields(Result))


def table(results: Sequence[Result]) -> str:
    """For the screen: a line for each number, and below them what must be known of some."""
    rows = [("set", "measure", "value %", "± or from, to", "cosine from", "pairs")]
    notes: list[str] = []
    for each in results:
        mark = ""
        if each.note:
            if each.note not in notes:
                notes.append(each.note)
            mark = f" [{notes.index(each.note) + 1}]"
        rows.append(
            (
                each.set,
                each.measure + mark,
                f"{100 * each.value:.2f}",
                each.around,
                f"{each.threshold:.3f}",
                f"{each.genuine:,} + {each.impostor:,}",
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    said = "±: standard deviation over ten folds; from and to: 95 of 100 resamplings of the pairs."
    return "\n".join([*lines, "", said, *(f"[{i}] {note}" for i, note in enumerate(notes, start=1))])


def write(path: str | Path, results: Sequence[Result], about: Mapping[str, Any]) -> None:
    """Results as CSV (a row each) or as JSON (with `about` the network), by the name of the file. ValueError where it
    cannot be written."""
    path = Path(path)
    rows = [dataclasses.asdict(each) for each in results]
    if path.suffix == ".json":
        text = json.dumps({"network": dict(about), "results": rows}, indent=2) + "\n"
    else:
        file = io.StringIO()
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        text = file.getvalue()
    try:
        replace_text(path, text)
    except OSError as error:
        raise ValueError(f"The numbers cannot be written to {path} ({error.strerror}): choose another --out.") from None


def check_out(path: Path) -> None:
    """ValueError for a file that `write` could not write."""
    if path.suffix not in KINDS:
        raise ValueError(f"out is {str(path)!r}, but it must end in {' or '.join(KINDS)}.")
    if not path.parent.is_dir():
        raise ValueError(f"out is {str(path)!r}, but there is no folder {path.parent}: make it first.")
    if path.is_dir():
        raise ValueError(f"out is {str(path)!r}, but that is a folder: name a file.")


def to_json(results: Sequence[Result]) -> str:
    return json.dumps([dataclasses.asdict(each) for each in results])


def from_json(text: str) -> list[Result]:
    return [Result(**each) for each in json.loads(text)]
