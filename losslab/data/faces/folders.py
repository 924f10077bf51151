"""A folder per identity: the way in which most face data sets are unpacked."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from losslab.data.base import DataError

from .decode import suffix
from .source import SUFFIXES, FaceSource, Identity, natural, numbered, read_part, reading, writing

DEEPEST = 8  # folders below the source


class Folders(FaceSource):
    """Every folder below `path` that directly holds images is an identity, whatever its depth. Links are not
    followed."""

    kind = "folders"

    def __init__(self, path: Path, name: str = "") -> None:
        self.path, self.name = Path(path), name or Path(path).name
        damaged: list[str] = []
        found = [file for folder in _below(self.path, DEEPEST, damaged) for file in folder]
        if not found:
            raise DataError(
                f"{self.path} holds no identities: put the images of each person into a folder of their own."
            )
        self.names, self.labels = numbered([os.path.dirname(file) for file in found])
        self._files = [found[at] for at in self.labels.argsort(kind="stable")]
        self.labels.sort()
        self.damaged = tuple(damaged)

    def payload(self, i: int) -> bytes:
        path = self.path / self._files[i]
        with reading(path):
            size = path.stat().st_size
        return read_part(path, 0, size, self.where(i))

    def where(self, i: int) -> str:
        return f"{self.name}/{self._files[i]}"

    def files(self) -> Iterator[Path]:
        return (self.path / file for file in self._files)


def write_faces(folder: Path, identities: Iterable[Identity]) -> None:
    """Write a folder for each identity, with its name; images are numbered. A name must be one that stays below."""
    with writing(folder):
        for name, images in identities:
            (folder / name).mkdir(parents=True, exist_ok=True)
            for at, payload in enumerate(images):
                (folder / name / f"{at:06d}{suffix(payload)}").write_bytes(payload)


def holds_images(folder: Path) -> bool:
    """Whether a folder directly holds an image."""
    try:
        with os.scandir(folder) as entries:
            return any(map(_is_image, entries))
    except OSError:
        return False


def _below(root: Path, depth: int, damaged: list[str], inside: str = "") -> Iterator[list[str]]:
    """For each folder below `root` that holds images, their paths from `root`, in natural order."""
    try:
        with os.scandir(root / inside) as entries:
            entries = sorted(entries, key=lambda entry: (natural(entry.name), entry.name))
        for entry in entries:
            if not entry.name.isprintable():  # nor can it be shown
                damaged.append(
                    f"{ascii(entry.name)} in {root.name}/{inside} has a name that is no text: it is left out."
                )
        entries = [entry for entry in entries if entry.name.isprintable()]
    except OSError as error:
        if not inside:
            raise DataError(f"{root} cannot be read ({error.strerror}): check the folder.") from error
        damaged.append(f"{root / inside} cannot be read ({error.strerror}) and is left out.")
        return
    if inside:
        yield [f"{inside}/{entry.name}" for entry in entries if _is_image(entry)]
    for entry in entries:
        if depth and not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False):
            yield from _below(root, depth - 1, damaged, f"{inside}/{entry.name}" if inside else entry.name)


def _is_image(entry: os.DirEntry) -> bool:
    return entry.name.lower().endswith(SUFFIXES) and entry.name[0] != "." and entry.is_file(follow_symlinks=False)
