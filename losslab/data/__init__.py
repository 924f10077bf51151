"""Data sets, found by being there: every file of this folder that declares a `Dataset` with a card adds one."""

from functools import cache
from pathlib import Path

from losslab.catalogue import discover

from .base import SPLITS, DataError, Dataset, Images, data_folder, subset

__all__ = ["DataError", "Dataset", "Images", "catalogue", "data_folder", "load", "subset"]


@cache
def catalogue() -> dict[str, Dataset]:
    """Every data set by name."""
    return dict(sorted((kind.name, kind()) for kind in discover(__name__, Dataset).values()))


def load(name: str, split: str, folder: str | Path | None = None) -> Images:
    """One split, "train" or "test", of the data set `name`. DataError when there is no such thing."""
    if name not in catalogue():
        raise DataError(f"There is no data set {name!r}: choose among {', '.join(catalogue())}.")
    if split not in SPLITS:
        raise DataError(f"There is no split {split!r}: choose among {', '.join(SPLITS)}.")
    return catalogue()[name].load(split, folder)
