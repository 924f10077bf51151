"""The runs of a figure: those that there are, and those that are trained for it.

A run is as good as a new one where its recipe, its version and the code of its loss are the same, and where nobody
turned its knobs.
"""

import json
import secrets
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from losslab import __version__, losses
from losslab.losses import Loss
from losslab.training import (
    Diverged,
    Recipe,
    Run,
    RunError,
    RunWriter,
    Snapshot,
    in_force,
    probe,
    record,
    train,
)
from losslab.training.run import code_of

from .base import Figure

Tell = Callable[[Loss, int, int], None]
"""Told the loss that is trained, its steps so far and all its steps."""


def find(recipe: Recipe, folders: Iterable[str | Path]) -> Run | None:
    """A finished run of this recipe in these folders, with the version and the code of the loss of now, whole (with
    its weights, so no thinned copy) and not steered by hand; None where there is none."""
    return found([recipe], folders).get(recipe.key)


def found(recipes: Iterable[Recipe], folders: Iterable[str | Path]) -> dict[str, Run]:
    """By key, a run as `find` finds it of each of these recipes that has one."""
    there: dict[str, Run] = {}
    wanted = {recipe.key for recipe in recipes}
    for folder in map(Path, folders):
        for path in sorted(folder.glob("*/recipe.json")):
            key = key_of(path)
            if key in wanted - set(there) and (run := finished(path.parent)):
                there[key] = run
    return there


def key_of(path: Path) -> str | None:
    """The key of the recipe of this recipe.json; None where it is not by the code of now."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        about = json.loads(path.read_text(encoding="utf-8"))
        if about["version"] == __version__ and about["code"]:
            recipe = Recipe.from_dict(about["recipe"])
            return recipe.key if about["code"] == code_of(recipe) else None
    return None


def finished(path: Path) -> Run | None:
    """The run if it came to its end as its recipe alone would have it."""
    with suppress(RunError):
        run = Run(path)
        whole = run.status.state == "done" and len(run) and run[-1].step == run.total_steps and run.weights
        if whole and not steered(run):
            return run
    return None


def steered(run: Run) -> bool:
    """Did somebody turn its knobs while it was trained?"""
    return any(in_force(run.recipe, snapshot) != run.recipe.loss_at(snapshot.step) for snapshot in run)


def made(recipe: Recipe, folder: str | Path, progress: Tell, data: str | Path | None = None) -> Run:
    """Train the recipe into a new run directory in `folder`, with data sets from `data`. Diverged, or RunError for a
    run that cannot be written, with one sentence that names the loss; the run so far is kept."""
    named = losses.written(recipe.loss)
    name = f"{type(recipe.loss).__name__.lower()}-{recipe.dim}d-{recipe.key[:8]}-{secrets.token_hex(3)}"
    shown = probe(recipe, data)

    def tell(snapshot: Snapshot) -> None:
        progress(recipe.loss, snapshot.step, shown.total_steps)

    with RunWriter(Path(folder) / name, recipe, shown, owner="command line") as writer:
        try:
            record(train(recipe, folder=data), writer, tell)
        except (Diverged, RunError) as error:
            raise type(error)(f"{named} could not be trained: {error}") from error
    return Run(writer.path)


def runs_of(figure: Figure, there: Mapping[str, Run]) -> tuple[Run, ...]:
    """What `figure.plate` is to be called with: the runs that it is given, else those of its recipes, by key."""
    return getattr(figure, "runs", ()) or tuple(there[recipe.key] for recipe in figure.recipes())
