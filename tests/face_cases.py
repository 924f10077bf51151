"""Small sources of faces that tests share, and where the real ones are."""

import io
import os
import shutil
import tarfile
import tracemalloc
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from losslab import losses
from losslab.data import DataError
from losslab.data.faces import FaceSubset, open_source
from losslab.data.faces.convert import convert
from losslab.data.faces.decode import png
from losslab.training import Recipe

REAL = Path(os.environ.get("LOSSLAB_TEST_DATA") or Path(__file__).parents[2] / "shared" / "data") / "orl_faces"
real = pytest.mark.skipif(not REAL.is_dir(), reason="the ORL faces are not here; LOSSLAB_TEST_DATA says where they lie")
RECIPE = Recipe(
    loss=losses.starting("ArcFace"),
    data="faces",
    faces=FaceSubset(source="folders", identities=24, held_out=12, size=32, grey=True),
    model="residual",
    dim=16,
    epochs=8,
    batch=32,
    rate=0.005,
)


def in_each_format(folder):
    """Makes `folder` a data folder with the real faces as "folders", "recordio" and "shards"."""
    shutil.copytree(REAL / "images", folder / "folders")
    with open_source("folders", folder) as source:
        for kind in ("recordio", "shards"):
            convert(source, kind, folder / kind, lambda *_: None)


def face(person, take, side=5):
    """An encoded image of nobody, another for each (person, take)."""
    return png(np.random.default_rng([person, take]).integers(0, 256, (side, side, 3), dtype=np.uint8))


def people(counts, side=5):
    """Identities as the writers take them, of so many images each."""
    return [(f"p{person}", [face(person, take, side) for take in range(n)]) for person, n in enumerate(counts)]


def sentence(error):
    message = str(error.value if hasattr(error, "value") else error)
    assert message.endswith(".") and "\n" not in message, message
    return message


def tar_of(members):
    """A tar of (name, bytes), or of ready TarInfos."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        for name, payload in members:
            info = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            if payload is not None:
                info.size = len(payload)
            tar.addfile(info, io.BytesIO(payload or b""))
    return file.getvalue()


def readable_rest(opened, whole):
    """Open and read what a damaged file still gives: sound images, or one sentence each. Returns how many are sound."""
    try:
        with opened() as source:
            assert len(source) == len(source.labels) and source.labels.max() < len(source.names)
            for each in source.damaged + source.notes:
                sentence(each)
            sound = 0
            for i in range(len(source)):
                try:
                    image = source.image(i)
                except DataError as error:
                    sentence(error)
                else:
                    assert image.dtype == np.uint8 and image.ndim == 3
                    sound += source.payload(i) in whole
            return sound
    except DataError as error:
        sentence(error)
        return 0


def changes(content):
    """Every single byte changed in two ways: one bit, and all."""
    for at in range(len(content)):
        for flip in (1 << at % 8, 0xFF):
            made = bytearray(content)
            made[at] ^= flip
            yield at, bytes(made)


@contextmanager
def little_memory(most=64 << 20):
    """Fail where more than `most` bytes were taken at once."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < most
    finally:
        tracemalloc.stop()
