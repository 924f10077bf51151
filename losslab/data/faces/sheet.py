"""A contact sheet: what a source of faces looks like, in one picture."""

import numpy as np

from losslab.data.base import DataError

from .decode import fitted, png
from .source import FaceSource

SIDE, GAP, PAPER = 96, 4, 255  # pixels; grey level


def contact_sheet(source: FaceSource, identities: int = 12, images: int = 8, seed: int = 0) -> bytes:
    """A PNG file: a row for each of some identities, drawn by `seed`, with their first images. What cannot be decoded
    stays empty."""
    people = np.random.default_rng(seed).permutation(len(source.names))[:identities]
    step = SIDE + GAP
    sheet = np.full((len(people) * step + GAP, images * step + GAP, 3), PAPER, np.uint8)
    mine = source.by_identity()
    for row, person in enumerate(np.sort(people)):
        for column, i in enumerate(mine[person][:images].tolist()):
            top, left = GAP + row * step, GAP + column * step
            try:
                pixels = fitted(source.image(i), SIDE, crop=0.0, grey=False)
            except DataError:
                continue
            sheet[top : top + SIDE, left : left + SIDE] = pixels.transpose(1, 2, 0)
    return png(sheet)
