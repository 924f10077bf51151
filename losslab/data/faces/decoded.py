"""Images decoded once: squares of bytes in a file of the data folder, which is read as memory."""

import errno
import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from losslab.data.base import DataError, data_folder

from .decode import fitted
from .source import FaceSource, writing

VERSION = 1  # of what is in the cache; another where the same form gives other pixels
BATCH = 128  # images that are decoded at a time

Progress = Callable[[int, int], None]
"""Called as progress(done_images, total_images)."""


@dataclass(frozen=True, kw_only=True)
class Form:
    """What every image is made."""

    size: int  # pixels of a side
    crop: float  # share cut off around the middle
    grey: bool

    @property
    def shape(self) -> tuple[int, int, int]:
        return (1 if self.grey else 3, self.size, self.size)


@dataclass(frozen=True, eq=False)
class Decoded:
    """Images of one form, and which of those asked for they are."""

    pixels: np.ndarray  # uint8 [n c size size]; writing into it changes no file
    kept: np.ndarray  # int64 [n]: the places of those that could be decoded
    left_out: tuple[str, ...]  # why not the others, one sentence each


def decoded(
    source: FaceSource, taken: np.ndarray, form: Form, folder: str | Path | None, progress: Progress
) -> Decoded:
    """The images of a source at the positions `taken`, from the cache or decoded into it.

    The cache knows them by the files of the source as they are now, the positions and the form. Equal ones give equal
    bytes. DataError where none can be decoded, or the disk does not take them.
    """
    key = hashlib.sha256(f"{VERSION} {source.digest()} {form} ".encode())
    key.update(taken.astype("<i8").tobytes())
    place = _cache(folder) / key.hexdigest()[:32]
    found = _kept(place, len(taken), form)
    if found is None:
        _write(source, taken, form, place, progress)
        found = _kept(place, len(taken), form)
    if found is None:
        raise DataError(f"What was decoded cannot be read back from {place.parent}: check the disk.")
    return found


def _cache(folder: str | Path | None) -> Path:
    """Where decoded images are kept: the data folder, or ~/.cache/losslab where that may only be read."""
    place = data_folder(folder) / "decoded"
    with writing(place):
        try:
            place.mkdir(parents=True, exist_ok=True)
            if os.access(place, os.W_OK):
                return place
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
                raise
    place = data_folder("~/.cache/losslab") / "decoded"
    with writing(place):
        place.mkdir(parents=True, exist_ok=True)
    return place


def _kept(place: Path, count: int, form: Form) -> Decoded | None:
    """What is in the cache; None where it is not there whole."""
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError, EOFError):
        said = json.loads(place.with_suffix(".json").read_text(encoding="utf-8"))
        lost = {int(at): str(why) for at, why in said["left_out"].items()}
        kept = np.array([at for at in range(count) if at not in lost], np.int64)
        pixels = np.load(place.with_suffix(".npy"), mmap_mode="c", allow_pickle=False)
        if pixels.shape == (len(kept), *form.shape) and pixels.dtype == np.uint8:
            return Decoded(pixels, kept, tuple(lost.values()))
    return None


def _write(source: FaceSource, taken: np.ndarray, form: Form, place: Path, progress: Progress) -> None:
    """Decode into the cache: both files whole or none, the .json last."""
    lost: dict[int, str] = {}
    with writing(place.parent), tempfile.TemporaryDirectory(dir=place.parent, prefix=".") as scratch:
        with open(Path(scratch, "npy"), "wb") as file:
            _head(file, (len(taken), *form.shape))
            for at, image in enumerate(_images(source, taken, form)):
                if isinstance(image, DataError):
                    lost[at] = str(image)
                else:
                    file.write(image.tobytes())
                progress(at + 1, len(taken))
            if len(lost) == len(taken):
                raise DataError(f"None of the {len(taken)} images can be decoded: {next(iter(lost.values()))}")
            file.seek(0)
            _head(file, (len(taken) - len(lost), *form.shape))  # as long as the first: NumPy leaves room in it
        Path(scratch, "json").write_text(json.dumps({"left_out": lost}, indent=1), encoding="utf-8")
        for suffix in ("npy", "json"):
            os.replace(Path(scratch, suffix), place.with_suffix(f".{suffix}"))


def _head(file: BinaryIO, shape: tuple[int, ...]) -> None:
    np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})


def _images(source: FaceSource, taken: np.ndarray, form: Form) -> Iterator[np.ndarray | DataError]:
    """The images in their order, or why one is none; several are decoded at a time."""

    def one(i: int) -> np.ndarray | DataError:
        try:
            return fitted(source.image(i), form.size, form.crop, form.grey)
        except DataError as error:
            return error

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for begin in range(0, len(taken), BATCH):
            yield from pool.map(one, taken[begin : begin + BATCH].tolist())
