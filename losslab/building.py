"""Building prints: the runs that they need are found or trained, and their files written."""

import tomllib
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from losslab.figures import Figure, trained
from losslab.press import Print, written
from losslab.training import Diverged, Recipe, Run


@dataclass(frozen=True)
class Built:
    """What became of a print: "built" with what it says, or "failed" and why."""

    name: str
    state: str
    reason: str = ""
    error: Exception | None = None


def fresh(wanted: Print) -> bool:
    """Are all its files there, and made of what they would be made of now?"""
    try:
        made = tomllib.loads(wanted.file("toml").read_text(encoding="utf-8")).get("made")
    except (OSError, ValueError):
        return False
    same = isinstance(made, dict) and made.get("digest") == wanted.digest
    return same and all(path.exists() for path in wanted.files)


class Work:
    """The runs that some figures need: those that there are in `folder`, and those that are to be trained into it with
    data sets from `data`."""

    def __init__(self, figures: Iterable[Figure], folder: str | Path, data: str | Path | None = None) -> None:
        recipes = {recipe.key: recipe for figure in figures for recipe in figure.recipes()}
        self.folder, self.data = folder, data
        self.runs = trained.found(recipes.values(), [folder])
        self.missing: dict[str, Recipe] = {key: recipe for key, recipe in recipes.items() if key not in self.runs}
        self._failed: dict[str, Exception] = {}

    def of(self, figure: Figure, tell: trained.Tell) -> tuple[Run, ...]:
        """The runs of a figure. What kept one from being trained is raised, again for every figure that needs it."""
        for recipe in figure.recipes():
            if recipe.key in self._failed:
                raise self._failed[recipe.key]
            if recipe.key not in self.runs:
                try:
                    self.runs[recipe.key] = trained.made(recipe, self.folder, tell, self.data)
                except (Diverged, ValueError, OSError) as error:
                    self._failed[recipe.key] = error
                    raise
        return trained.runs_of(figure, self.runs)


def build(
    prints: Iterable[Print], work: Work, tell: trained.Tell, done: Callable[[Built], None] = lambda built: None
) -> list[Built]:
    """Write the files of each, training what is missing; one that fails does not stop the rest. `done` is told of each.

    KeyboardInterrupt comes through; runs that were finished are found the next time.
    """
    outcomes = []
    for wanted in prints:
        outcomes.append(built(wanted, work, tell))
        done(outcomes[-1])
    return outcomes


def built(wanted: Print, work: Work, tell: trained.Tell) -> Built:
    try:
        runs = work.of(wanted.figure, tell)
        plate = wanted.figure.plate(runs)
        written(wanted, plate, runs)
    except (ValueError, OSError, Diverged) as error:
        return Built(wanted.name, "failed", str(error), error)
    except Exception as error:  # of a figure that somebody dropped in
        traceback.print_exc()
        return Built(wanted.name, "failed", f"Its code failed: {type(error).__name__}: {error}", error)
    return Built(wanted.name, "built", f"{plate.title}: {plate.says}")
