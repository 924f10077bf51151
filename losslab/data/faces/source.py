"""FaceSource: the one interface of everything that reads faces from disk."""

import hashlib
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

import numpy as np

from losslab.data.base import DataError

from .decode import decode

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".pgm", ".ppm")  # of files that are taken for images
MOST_BYTES = 1 << 25  # of one encoded image: what is longer is no photograph of a face


Identity = tuple[str, list[bytes]]
"""What the writers write: a name, and the encoded images of whom it names."""


class FaceSource(ABC):
    """Encoded images of faces and whose they are.

    `labels` are contiguous whatever the files say; what the files say is in `names`. Reading is safe from many threads
    and processes, and a source that is pickled opens its files again by their paths.
    """

    kind: ClassVar[str]  # "RecordIO", "folders" or "shards"

    name: str  # the path below its data folder, with "/"
    path: Path
    names: tuple[str, ...]  # of each identity, in the order of their labels
    labels: np.ndarray  # int64 [n], in [0, len(names))
    damaged: tuple[str, ...]  # what was left out and why, one sentence each
    notes: tuple[str, ...] = ()  # what else is to be known

    def __len__(self) -> int:
        return len(self.labels)

    @abstractmethod
    def payload(self, i: int) -> bytes:
        """Image `i` encoded, as it lies there. DataError where it can no longer be read."""

    @abstractmethod
    def where(self, i: int) -> str:
        """The file and record of image `i`, for messages."""

    @abstractmethod
    def files(self) -> Iterator[Path]:
        """Every file that the source reads, in a fixed order."""

    def image(self, i: int) -> np.ndarray:
        """Image `i`, uint8 [height width 3], RGB. DataError naming file and record where it is none."""
        return decode(self.payload(i), self.where(i))

    def by_identity(self) -> list[np.ndarray]:
        """For each identity the positions of its images, in their order."""
        count = np.bincount(self.labels, minlength=len(self.names))
        return np.split(np.argsort(self.labels, kind="stable"), np.cumsum(count)[:-1])

    def digest(self) -> str:
        """Of the names, sizes and modification times of its files: another for a source that has changed."""
        made = hashlib.sha256(self.kind.encode())
        for path in self.files():
            with reading(path):
                state = path.stat()
            made.update(f"\n{path.relative_to(self.path).as_posix()} {state.st_size} {state.st_mtime_ns}".encode())
        return made.hexdigest()

    def close(self) -> None:  # noqa: B027  (most sources hold nothing open)
        """Let go of what is open; reading again opens it again."""

    def __enter__(self) -> "FaceSource":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what the system says of `path` into one sentence."""
    try:
        yield
    except PermissionError as error:
        raise DataError(f"{path} may not be read: give yourself the right to read it.") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}): check the file and the disk.") from error


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """The same where `path` is to be written."""
    try:
        yield
    except OSError as error:
        raise DataError(f"{path} cannot be written ({error.strerror}): make room, or name another folder.") from error


def read_part(path: Path, start: int, size: int, what: str) -> bytes:
    """`size` bytes of a file from `start` on. DataError where they are too many for one image, or not there."""
    if size > MOST_BYTES:
        raise DataError(f"{what} has {size} bytes, more than the {MOST_BYTES} that one image may have: leave it out.")
    with reading(path), open(path, "rb") as file:
        file.seek(start)
        found = file.read(size)
    if len(found) < size:
        raise DataError(f"{what} is cut short: {path} changed while it was read, so open it again.")
    return found


def natural(text: str) -> list[str | int]:
    """A sort key under which s2 comes before s10."""
    return [int(part) if odd % 2 else part for odd, part in enumerate(re.split("([0-9]+)", text))]


def numbered(keys: list[str]) -> tuple[tuple[str, ...], np.ndarray]:
    """Distinct keys in natural order, and the place of each of `keys` among them, int64 [n]."""
    names = tuple(sorted(set(keys), key=lambda key: (natural(key), key)))
    place = {key: at for at, key in enumerate(names)}
    return names, np.fromiter((place[key] for key in keys), np.int64, len(keys))
