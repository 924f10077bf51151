"""The family of data sets that come as MNIST's four IDX files."""

import os
from functools import lru_cache
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
import torch

from .base import SPLITS, DataError, Dataset, Images, Progress, data_folder
from .download import fetch
from .idx import first_labels, read_idx

STEMS = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}


class Remote(NamedTuple):
    """A file as the mirrors hold it."""

    size: int  # bytes
    md5: str


class IdxDataset(Dataset):
    """Images and labels of both splits, each an IDX file, plain or gzipped, in one of several places."""

    folders: ClassVar[tuple[str, ...]]  # below the data folder; downloads go to the first
    system: ClassVar[tuple[str, ...]] = ()  # public places outside it
    begins: ClassVar[dict[str, tuple[int, ...]]]  # the first labels of each split
    mirrors: ClassVar[tuple[str, ...]]
    remote: ClassVar[dict[str, Remote]]  # by file name

    def available(self, folder: str | Path | None = None) -> bool:
        return all(self._find(split, folder) for split in SPLITS)

    def load(self, split: str, folder: str | Path | None = None) -> Images:
        found = self._find(split, folder)
        if found is None:
            raise DataError(
                f"{self.title} was not found under {data_folder(folder)}: download it with "
                f"python -m losslab data get {self.name}, or put its four files into "
                f"{self._target(folder)}."
            )
        images_path, labels_path = found
        images, labels = _read(images_path, 3), _read(labels_path, 1)
        expected = (self.sizes[split], 28, 28)
        remedy = "delete it and download the data set again"
        if len(images) != len(labels):
            raise DataError(
                f"{images_path} holds {len(images)} images but {labels_path} holds {len(labels)} labels: "
                f"they do not belong together, so delete both and download the data set again."
            )
        if images.shape != expected:
            raise DataError(f"{images_path} holds an array {images.shape} instead of {expected}: {remedy}.")
        if labels.max() >= len(self.names):
            raise DataError(f"{labels_path} holds a label above {len(self.names) - 1}: {remedy}.")
        return Images(torch.tensor(images)[:, None], torch.tensor(labels, dtype=torch.int64), self.names)

    def download(
        self,
        folder: str | Path | None = None,
        progress: Progress | None = None,
        mirrors: tuple[str, ...] | None = None,
    ) -> str:
        """Fetch the four files that are not there yet; an interrupted download goes on where it stopped."""
        target = self._target(folder)
        total = sum(remote.size for remote in self.remote.values())
        done = 0
        for file, (size, md5) in self.remote.items():

            def tell(bytes_of_this: int, before: int = done) -> None:
                if progress is not None:
                    progress(before + bytes_of_this, total)

            urls = [mirror + file for mirror in mirrors or self.mirrors]
            fetch(urls, target / file, size=size, md5=md5, progress=tell)
            done += size
        return f"{self.title} is in {target}."

    def _target(self, folder: str | Path | None) -> Path:
        return data_folder(folder) / self.folders[0]

    def _find(self, split: str, folder: str | Path | None) -> tuple[Path, Path] | None:
        """The images and labels of a split in the first place that has both."""
        root = data_folder(folder)
        for place in (*(root / name for name in self.folders), root, *map(Path, self.system)):
            images, labels = (_plain_or_gzipped(place / stem) for stem in STEMS[split])
            if images and labels and self._begins_as_ours(labels, split):
                return images, labels
        return None

    def _begins_as_ours(self, labels: Path, split: str) -> bool:
        """MNIST and Fashion-MNIST have the same file names: in a flat folder only the labels tell which."""
        begins = self.begins[split]
        try:
            found = first_labels(labels, len(begins))
            return found == begins[: len(found)]
        except DataError:
            return True  # a damaged file is not passed over: loading it says what is wrong with it


def _plain_or_gzipped(path: Path) -> Path | None:
    gzipped = path.with_name(path.name + ".gz")
    return next((file for file in (path, gzipped) if os.path.isfile(file)), None)


def _read(path: Path, dimensions: int) -> np.ndarray:
    state = path.stat()
    return _decoded(path, dimensions, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=4)  # both splits of one data set; time and size make a changed file a new entry
def _decoded(path: Path, dimensions: int, changed: int, size: int) -> np.ndarray:
    return read_idx(path, dimensions)
