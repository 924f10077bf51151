"""How long does each figure of the catalogue take from runs that are there, and how large is its PDF? There is no peer:
no other package makes these figures."""

import dataclasses
import tempfile
import time
from collections.abc import Callable
from typing import Any

from losslab import figures
from losslab.figures import Figure, Trained, trained
from losslab.render import paper

from .report import Row, Table

TIMES, QUICK = 3, 1
SMALL = {"per_class": 40, "epochs": 1}  # of what a quick look trains
HOW = (
    "Every figure as it begins, at its own width, one process. Seconds for its panels (from {runs} runs trained "
    "before) and its PDF together; finding is reading the runs and checking that nobody turned their knobs."
)
SIZES = "The PDFs of that: vector, fonts embedded, no picture."


def measure(*, quick: bool) -> list[Table]:
    times = QUICK if quick else TIMES
    begun = {name: figure(kind, quick) for name, kind in figures.catalogue().items()}
    recipes = {recipe.key: recipe for each in begun.values() for recipe in each.recipes()}.values()
    with tempfile.TemporaryDirectory() as folder:
        for recipe in recipes:
            trained.made(recipe, folder, lambda *done: None)
        finding, there = timed(lambda: trained.found(recipes, [folder]), times)
        made = {name: timed(lambda each=each: printed(each, there), times) for name, each in begun.items()}
    seconds = [Row(name, took) for name, (took, _) in made.items()]
    whole = [sum(took) for took in zip(*(took for took, _ in made.values()), strict=True)]
    seconds += [Row("the whole catalogue", whole), Row(f"finding {len(there)} runs", finding)]
    sizes = [Row(name, [len(pdf) / 1000], unit="kB") for name, (_, pdf) in made.items()]
    return [
        Table("Figures from cached runs", HOW.format(runs=len(there)), seconds),
        Table("Sizes of their PDFs", SIZES, sizes),
    ]


def figure(kind: type[Figure], quick: bool) -> Figure:
    if quick and issubclass(kind, Trained):
        return kind(recipe=dataclasses.replace(kind.recipe, **SMALL))
    return kind()


def printed(figure: Figure, there: dict) -> bytes:
    return paper.draw(figure.plate(trained.runs_of(figure, there)), width=type(figure).width)


def timed(work: Callable[[], Any], times: int) -> tuple[list[float], Any]:
    """Seconds of each try, and what the last one gave."""
    took = []
    for _ in range(times):
        began = time.perf_counter()
        made = work()
        took.append(time.perf_counter() - began)
    return took, made
