"""A sheet: a TOML file that describes the figures of a paper, built file by file as they change.

    width = "ieee-1"                    # also style, kinds, dpi, camera, losses: for every figure that says no other
    out = "figures"                     # where they go, from where the sheet lies

    [recipe]                            # of every figure that trains
    epochs = 20

    [[figure]]
    name = "toy"                        # of its files
    figure = "ToyScatter"
    losses = ["ArcFace(margin=0.3)"]
    recipe = {seed = 1}

A view is one of a training where its own table has a recipe, empty or not, or runs.
"""

import re
import tomllib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from losslab.figures import said
from losslab.press import Look, Print
from losslab.render import paper
from losslab.training import Run
from losslab.views import View

LOOK = ("width", "style", "dpi", "camera", "raster")
FOR_ALL = (*LOOK, "kinds", "losses", "recipe")
TOP = (*FOR_ALL, "out", "figure", "made")  # "made" is what a figure's own sheet says of when it was made
NAME = re.compile(r"[A-Za-z0-9_-]{1,100}")


def read(path: str | Path, find: Callable[[str], Run]) -> list[Print]:
    """The prints that the sheet at `path` asks for. ValueError with one sentence for any mistake in it.

    Args:
        find: gives the run of an id, as of `figures.said.make`.
    """
    path = Path(path)
    try:
        asked = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"The sheet {path} cannot be read: {error.strerror}.") from None
    except ValueError as error:  # no TOML, or no UTF-8
        raise ValueError(f"The sheet {path} is no TOML: {str(error).rstrip('.')}.") from None
    known(asked, TOP, f"The sheet {path}")
    tables = asked.get("figure", [])
    if not isinstance(tables, list) or not tables or not all(isinstance(each, dict) for each in tables):
        raise ValueError(f"The sheet {path} has no figures: write a table [[figure]] for each.")
    if not isinstance(out := asked.get("out", "."), str):
        raise ValueError(f'out is {out!r:.60}, but it must be a folder such as "figures".')
    folder = path.parent / Path(out).expanduser()
    prints: list[Print] = []
    for number, table in enumerate(tables, start=1):
        name = checked(table.get("name"), number, [each.name for each in prints])
        try:
            prints.append(entry(name, table, asked, folder, find))
        except (ValueError, OSError) as error:
            raise ValueError(f"{name}: {error}") from None
    for each in prints:
        if each.file("toml").resolve() == path.resolve() and "made" not in asked:
            raise ValueError(
                f"{each.name}: its TOML would take the place of the sheet; give it another name, or set out."
            )
    return prints


def known(table: dict[str, Any], names: Iterable[str], what: str) -> None:
    if unknown := [name for name in table if name not in names]:
        raise ValueError(f"{what} has {unknown[0]!r}, which it does not know; it knows {', '.join(names)}.")


def checked(name: Any, number: int, taken: list[str]) -> str:
    """The name of a figure's files."""
    if name is None:
        raise ValueError(f"Figure {number} of the sheet has no name: write one, for its files.")
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise ValueError(f"The name of figure {number} is {name!r:.60}, but it must be of letters, digits, - and _.")
    if name.lower() in [each.lower() for each in taken]:  # many a disk takes them for one
        raise ValueError(f"{name}: two figures have this name; give each its own.")
    return name


def entry(name: str, table: dict[str, Any], asked: dict[str, Any], folder: Path, find: Callable[[str], Run]) -> Print:
    """The print of one table, with what the sheet says for all."""
    own = {key: value for key, value in table.items() if key not in ("name", "kinds", *LOOK)}
    of = said.kind(own.get("figure"))
    takes, given = said.shared(of), bool(own.get("runs"))
    if "losses" in asked and "losses" not in own and not given:
        own["losses"] = asked["losses"]
    if "recipe" in takes and not given and ("recipe" in own or not issubclass(of, View)):
        mine, all = own.get("recipe", {}), asked.get("recipe", {})
        for each in (mine, all):
            if not isinstance(each, dict):
                raise ValueError(f"recipe is {each!r:.60}, but it must be names and values such as epochs = 20.")
        own["recipe"] = all | mine
    look = {"width": of.width if not issubclass(of, View) else Look.width}
    look |= {key: source[key] for source in (asked, table) for key in LOOK if key in source}
    kinds = table.get("kinds", asked.get("kinds", ["pdf"]))
    return Print(name=name, figure=said.make(own, find), look=Look(**look), kinds=kinds_of(kinds), folder=folder)


def kinds_of(kinds: Any) -> tuple[str, ...]:
    if not isinstance(kinds, list | tuple) or not kinds or not {*map(str, kinds)} <= set(paper.KINDS):
        raise ValueError(f"kinds is {kinds!r:.60}, but it must list some of {', '.join(paper.KINDS)}.")
    return tuple(dict.fromkeys(kinds))


def found_in(folder: str | Path) -> Callable[[str], Run]:
    """What finds a run by its id in `folder`, or by its path."""
    return lambda id: Run(id if (Path(id) / "recipe.json").exists() else Path(folder) / id)
