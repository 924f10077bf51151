"""A source of faces written in another format. The encoded images stay byte for byte what they are."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from losslab.data.base import DataError

from . import folders, recordio, shards
from .source import FaceSource, Identity, natural, writing

WRITERS = {"recordio": recordio.write_faces, "folders": folders.write_faces, "shards": shards.write_faces}
SAFE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_ -]*(/[A-Za-z0-9_][A-Za-z0-9_ -]*)*")  # stays below where it is put


def convert(source: FaceSource, form: str, out: Path, progress: Callable[[int, int], None]) -> tuple[str, ...]:
    """Write all faces of a source into the folder `out`, which must be empty or not there yet.

    `form` is one of WRITERS. Identities and their images keep their order. Returns one sentence for each image that
    was left out because it cannot be decoded.
    """
    if form not in WRITERS:
        raise DataError(f"There is no format {form!r}: choose among {', '.join(WRITERS)}.")
    with writing(out):
        if out.exists() and any(out.iterdir()):
            raise DataError(f"{out} is not empty: name a folder that is not there yet.")
        out.mkdir(parents=True, exist_ok=True)
    left_out: list[str] = []
    WRITERS[form](out, _identities(source, left_out, progress))
    return tuple(left_out)


def _identities(source: FaceSource, left_out: list[str], progress: Callable[[int, int], None]) -> Iterator[Identity]:
    """Every identity that has an image, its name such that it can be that of a folder."""
    # Names in another order than the labels would change the order of identities.
    names = source.names
    if not all(map(SAFE.fullmatch, names)) or list(names) != sorted(names, key=natural):
        names = tuple(f"{label:06d}" for label in range(len(names)))
    done = 0
    for name, images in zip(names, source.by_identity(), strict=True):
        whole = []
        for i in images.tolist():
            try:
                source.image(i)
                whole.append(source.payload(i))
            except DataError as error:
                left_out.append(str(error))
            done += 1
            progress(done, len(source))
        if whole:
            yield name, whole
