"""Data sets, found by being there: every file of this folder that declares a `Dataset` adds one."""

import pkgutil
from importlib import import_module
from pathlib import Path

from .base import SPLITS, DataError, Dataset, Images, data_folder, declared, subset

__all__ = ["DataError", "Dataset", "Images", "catalogue", "data_folder", "load", "subset"]

for _module in pkgutil.iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")


def catalogue() -> dict[str, Dataset]:
    """Every data set by name."""
    return dict(sorted(declared.items()))


def load(name: str, split: str, folder: str | Path | None = None) -> Images:
    """One split, "train" or "test", of the data set `name`. DataError when there is no such thing."""
    if name not in declared:
        raise DataError(f"There is no data set {name!r}: choose among {', '.join(catalogue())}.")
    if split not in SPLITS:
        raise DataError(f"There is no split {split!r}: choose among {', '.join(SPLITS)}.")
    return declared[name].load(split, folder)
