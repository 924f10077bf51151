"""Olivetti and LFW through scikit-learn's fetchers, for people with a network and no CASIA."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from losslab.data.base import DataError, data_folder

from .decode import png
from .folders import Folders, write_faces
from .source import Identity, writing

CARDS = {
    "olivetti": "40 people, 10 grey images each, 64 x 64. AT&T Laboratories Cambridge; with credit to them.",
    "lfw": "Labeled Faces in the Wild: the people with two or more images, cropped to 94 x 125. G. B. Huang, "
    "M. Ramesh, T. Berg, E. Learned-Miller, University of Massachusetts, 2007. Pictures from the news; for research.",
}


def fetch(name: str, folder: str | Path | None = None) -> str:
    """Download one of CARDS and write it into the data folder, a folder per identity; one sentence says where it is.

    DataError where scikit-learn is not installed or the download fails.
    """
    if name not in CARDS:
        raise DataError(f"There are no faces {name!r} to download; there are {', '.join(CARDS)}.")
    out = data_folder(folder) / name
    if out.is_dir():
        found = Folders(out, name)
        return f"{name} is in {out} already: {len(found)} images of {len(found.names)} people."
    images, labels, names = _asked(name)
    part = out.with_name(f".{name}.part")  # with a dot before it: no source until it is whole
    with writing(part):
        part.mkdir(parents=True, exist_ok=True)
        write_faces(part, _identities(images, labels, names))
        part.rename(out)
    return f"{name} is in {out}: {len(images)} images of {len(names)} people."


def _asked(name: str) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Images, float [n h w] or [n h w 3] from 0 to 1 (or to 255, of older versions), labels and names."""
    try:
        from sklearn import datasets
    except ImportError as error:
        raise DataError(
            f"{name} is fetched by scikit-learn, which is not installed: pip install scikit-learn."
        ) from error
    try:
        if name == "olivetti":
            said = datasets.fetch_olivetti_faces(shuffle=False)
            return said.images, said.target, tuple(f"{person:02d}" for person in range(int(said.target.max()) + 1))
        said = datasets.fetch_lfw_people(min_faces_per_person=2, resize=1.0, color=True)
        return said.images, said.target, tuple(map(str, said.target_names))
    except Exception as error:  # The fetchers pass on whatever their network, archives and disk raise.
        why = str(error).rstrip(".").replace("\n", " ") or type(error).__name__
        raise DataError(f"{name} could not be downloaded ({why[:200]}): check the connection and try again.") from error


def _identities(images: np.ndarray, labels: np.ndarray, names: tuple[str, ...]) -> Iterator[Identity]:
    scale = 255.0 if float(images[:64].max()) <= 1 else 1.0
    for label, name in enumerate(names):
        mine = (png(np.rint(image * scale).clip(0, 255).astype(np.uint8)) for image in images[labels == label])
        yield re.sub(r"[^A-Za-z0-9-]+", "_", name) or f"{label:06d}", list(mine)
