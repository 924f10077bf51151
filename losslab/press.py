"""A figure as files: drawn at its size, its numbers as CSV, the sheet that makes it again; or all of it in a zip.

A `Print` is a figure with all that decides its files; equal prints give equal bytes.
"""

import dataclasses
import hashlib
import io
import json
import math
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import tomli_w

import losslab
from losslab import losses
from losslab.caption import caption
from losslab.catalogue import check_knobs, knob
from losslab.figures import Figure, said
from losslab.render import flat, paper
from losslab.render.paper.pgf import latex
from losslab.scene import Plate
from losslab.training import Run

__all__ = ["Look", "Print", "bundle", "caption", "latex", "numbers", "pressed", "recipe_text", "written"]

BESIDE = ("csv", "toml")  # every figure has these with it
SCRIPT = f"""#!/bin/sh
# Needs losslab {losslab.__version__}: pip install "losslab[paper]"
cd "$(dirname "$0")" && {{command}}
"""
EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip knows


@dataclass(frozen=True, kw_only=True)
class Look:
    """How a figure is printed. ValueError for what it cannot be."""

    width: str | float = "ieee-1"
    style: str = knob("colour", choices=paper.STYLES, help="Colours, or greys with dashes, markers and hatches.")
    dpi: int = knob(300, 30, 1200, step=10, help="Dots per inch of a PNG.")
    raster: bool = knob(False, help="Samples as one picture in the file: for clouds of many thousands.")
    camera: tuple[float, ...] | None = None  # nine numbers, row by row: the rotation from which spheres are seen

    def __post_init__(self) -> None:
        check_knobs(self)
        paper.measured(self.width if isinstance(self.width, str | int | float) else str(self.width))
        if self.camera is not None:
            numbers = isinstance(self.camera, list | tuple) and len(self.camera) == 9
            if not numbers or not all(isinstance(each, int | float) and math.isfinite(each) for each in self.camera):
                raise ValueError(f"camera is {self.camera!r:.60}, but it must be nine numbers, a rotation row by row.")
            if not flat.turns(self.camera):
                raise ValueError("camera is no rotation: its three rows must be of length 1 and at right angles.")
            object.__setattr__(self, "camera", tuple(map(float, self.camera)))


@dataclass(frozen=True, kw_only=True)
class Print:
    """A figure and the files that it becomes: `name` with the ending of each kind, its CSV and its TOML."""

    name: str
    figure: Figure
    look: Look = Look()
    kinds: tuple[str, ...] = ("pdf",)
    folder: Path = Path()

    def file(self, ending: str) -> Path:
        return self.folder / f"{self.name}.{ending}"

    @property
    def files(self) -> list[Path]:
        return [self.file(ending) for ending in (*self.kinds, *BESIDE)]

    @property
    def digest(self) -> str:
        """The same for as long as the files would be: of what is said, the recipes and the code of the losses, the runs
        that are given, this losslab, what it draws with, and the look."""
        figure = self.figure
        parts = {
            "said": said.plain(figure, entire=True),
            "recipes": [recipe.key for recipe in figure.recipes()],
            "losses": losses.code(*figure.losses),
            "runs": [traced(run) for run in getattr(figure, "runs", ())],
            "made": [losslab.__version__, own_source(), *(version(name) for name in ("torch", "numpy", "matplotlib"))],
            "look": dataclasses.asdict(self.look),
            "kinds": self.kinds,
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def traced(run: Run) -> str:
    """A digest of what a run holds."""
    seen = hashlib.sha256()
    for name in ("recipe.json", "probe.npz", "snapshots.bin", "weights.npz"):
        if (path := run.path / name).exists():
            seen.update(path.read_bytes())
    return seen.hexdigest()[:16]


@cache
def own_source() -> str:
    """A digest of the text of losslab."""
    root, seen = Path(losslab.__file__).parent, hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        seen.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return seen.hexdigest()[:16]


# -- the files ---------------------------------------------------------------------------------------------


def pressed(figure: Figure, plate: Plate, runs: tuple[Run, ...], kind: str = "pdf", look: Look | None = None) -> bytes:
    """The plate of a figure as a file of a kind of `render.paper.KINDS`, with what it was made of in its metadata."""
    return every_kind(figure, plate, runs, (kind,), look or Look())[kind]


def every_kind(
    figure: Figure, plate: Plate, runs: tuple[Run, ...], kinds: Iterable[str], look: Look
) -> dict[str, bytes]:
    """As `pressed`, by kind."""
    return paper.drawn_as(
        plate, kinds, look.width, look.style, look.dpi, metadata(figure, runs), look.camera, look.raster
    )


def metadata(figure: Figure, runs: tuple[Run, ...]) -> Mapping[str, str]:
    """What a file says of itself: the figure, its losses, every recipe whole, the seeds, the version."""
    recipes = [run.recipe for run in runs]
    trained = {
        "recipes": compact([recipe.to_dict() for recipe in recipes]),
        "seeds": ", ".join(map(str, sorted({recipe.seed for recipe in recipes}))),
    }
    return {
        "figure": compact(said.plain(figure)),
        "losses": ", ".join(map(losses.written, figure.losses)),
        **(trained if recipes else {}),
        "version": f"losslab {losslab.__version__}",
    }


def compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def numbers(plate: Plate) -> str:
    """All that is drawn as CSV."""
    return plate.table()


def recipe_text(wanted: Print) -> str:
    """A sheet of this one figure, which makes the same files: every value is said, also what it begins with."""
    look = {name: value for name, value in dataclasses.asdict(wanted.look).items() if value is not None}
    table = {"name": wanted.name, "kinds": list(wanted.kinds), **look, **said.plain(wanted.figure, entire=True)}
    table = {name: list(value) if isinstance(value, tuple) else value for name, value in table.items()}
    table = dict(sorted(table.items(), key=lambda item: isinstance(item[1], dict)))  # tables last, as TOML has them
    made = {"version": losslab.__version__, "digest": wanted.digest}
    head = f"# Makes these files again: {command(wanted.name)}\n"
    if getattr(wanted.figure, "runs", ()):
        head += "# Its runs are looked for where runs are kept, or where --runs says.\n"
    return head + tomli_w.dumps({"figure": [table], "made": made})


def command(name: str) -> str:
    return f"python -m losslab figure --sheet {name}.toml"


def written(wanted: Print, plate: Plate, runs: tuple[Run, ...]) -> list[Path]:
    """Write the files of a print; ValueError where the disk does not take one. The TOML comes last: where it is, the
    others are whole."""
    made = every_kind(wanted.figure, plate, runs, wanted.kinds, wanted.look)
    made |= {"csv": numbers(plate).encode(), "toml": recipe_text(wanted).encode()}
    path = wanted.folder
    try:
        path.mkdir(parents=True, exist_ok=True)
        wanted.file("toml").unlink(missing_ok=True)
        for ending, content in made.items():
            path = wanted.file(ending)
            path.write_bytes(content)
    except OSError as error:
        raise ValueError(f"{path} cannot be written: {error.strerror}.") from None
    return wanted.files


def bundle(wanted: Print, plate: Plate, runs: tuple[Run, ...]) -> bytes:
    """A zip of the figure in every kind, its numbers, its caption, its sheet, and the script that builds it again."""
    every = dataclasses.replace(wanted, kinds=tuple(paper.KINDS), folder=Path())
    says = caption(wanted.figure, plate, runs)
    drawn = every_kind(wanted.figure, plate, runs, paper.KINDS, wanted.look)
    files = {
        **{f"{wanted.name}.{kind}": content for kind, content in drawn.items()},
        f"{wanted.name}.csv": numbers(plate).encode(),
        f"{wanted.name}.toml": recipe_text(every).encode(),
        "build.sh": SCRIPT.format(command=command(wanted.name)).encode(),
        "caption.txt": f"{says}\n".encode(),
        "caption.tex": f"\\caption{{{latex(says)}}}\n".encode(),
    }
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.compress_type, entry.create_system = zipfile.ZIP_DEFLATED, 3  # 3: Unix, on every machine
            entry.external_attr = (0o755 if name.endswith(".sh") else 0o644) << 16
            zipped.writestr(entry, files[name])
    return out.getvalue()
