"""What lies in the data folder: sources of faces, found by what they hold and opened by name."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from losslab.data.base import DataError, data_folder

from .folders import Folders, holds_images
from .pairs import Pairs, read_pairs
from .recordio import RecordIO
from .shards import Shards
from .source import FaceSource, natural

DEEPEST = 3  # folders below the data folder
LOOKED_AT = 64  # folders that may be identities, before a folder is said to hold none
VISITED = 4096  # folders in all


@dataclass(frozen=True)
class Found:
    """A source that is there, not opened yet."""

    name: str
    path: Path
    reader: type[FaceSource]

    @property
    def kind(self) -> str:
        return self.reader.kind

    def open(self) -> FaceSource:
        """Its reader. DataError where nothing in it can be read."""
        return self.reader(self.path, self.name)


def sources(folder: str | Path | None = None) -> dict[str, Found]:
    """Every source of faces in the data folder, by name. Nothing is opened, and no link is followed."""
    root = data_folder(folder)
    found = islice(_walk(root, "", DEEPEST), VISITED)
    named = {each.name: each for each in found if each is not None}
    return dict(sorted(named.items(), key=lambda item: natural(item[0])))


def find(name: str, folder: str | Path | None = None) -> Found:
    """The source of that name: one of those in the data folder, never a path. DataError where there is none."""
    there = sources(folder)
    if name not in there:
        listed = f"there are {', '.join(list(there)[:8])}" if there else "there is none"
        raise DataError(
            f"There are no faces called {name[:80]!r} in {data_folder(folder)} ({listed}): put a train.rec, tar shards "
            "or a folder per identity there."
        )
    return there[name]


def open_source(name: str, folder: str | Path | None = None) -> FaceSource:
    """The reader of `find(name, folder)`."""
    return find(name, folder).open()


def pair_sets(folder: str | Path | None = None) -> dict[str, Path]:
    """Every verification set (`.bin`) in the data folder, by name. Nothing is opened, and no link is followed."""
    root = data_folder(folder)
    found = {}
    for here, below, files in os.walk(root):
        inside = Path(here).relative_to(root)
        below[:] = sorted(each for each in below if each[0] != ".") if len(inside.parts) < DEEPEST else []
        for file in sorted(files):
            path = Path(here, file)
            if path.suffix == ".bin" and file.isprintable() and path.is_file() and not path.is_symlink():
                found[(inside / path.stem).as_posix()] = path
        if len(found) > VISITED:
            break
    return found


def pair_set(name: str, folder: str | Path | None = None) -> Pairs:
    """The verification set of that name: one of those in the data folder, never a path. DataError where there is none,
    or where it is something else."""
    there = pair_sets(folder)
    if name not in there:
        listed = f"there are {', '.join(list(there)[:8])}" if there else "there is none"
        raise DataError(f"There is no verification set {name[:80]!r} in {data_folder(folder)} ({listed}).")
    return read_pairs(there[name])


def _walk(folder: Path, inside: str, depth: int) -> Iterator[Found | None]:
    """The sources in a folder and below it; None for each other folder that was looked into."""
    try:
        with os.scandir(folder) as entries:
            shown = sorted((e for e in entries if e.name[0] != "." and e.name.isprintable()), key=lambda e: e.name)
        files = {entry.name for entry in shown if entry.is_file(follow_symlinks=False)}
        below = [entry.name for entry in shown if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return  # a folder that may not be read holds nothing for us
    name = inside or folder.resolve().name
    if "train.rec" in files:
        yield Found(name, folder, RecordIO)
    elif any(file.endswith(".tar") for file in files):
        yield Found(name, folder, Shards)
    elif any(holds_images(folder / each) for each in below[:LOOKED_AT]):
        yield Found(name, folder, Folders)
        return  # what lies below are its identities
    else:
        yield None
    if depth:
        for each in below:
            yield from _walk(folder / each, f"{inside}/{each}" if inside else each, depth - 1)
