"""A digit that somebody draws, brought to the form in which MNIST has its digits."""

import numpy as np
import torch
from torch.nn import functional as F

SIDE, LONGER = 28, 20  # pixels: of the picture, and of the longer side of the digit in it


def centred(image: np.ndarray) -> np.ndarray:
    """A drawing, uint8 [28 28] with bright ink on black, as MNIST would have it, uint8 [28 28]: what is drawn is scaled
    to 20 pixels along its longer side, and its centre of mass put into the middle.

    ValueError when nothing is drawn.
    """
    if image.shape != (SIDE, SIDE) or image.dtype != np.uint8:
        raise ValueError(f"A drawing is uint8 [{SIDE} {SIDE}]; this is {image.dtype} {list(image.shape)}.")
    down, across = np.nonzero(image)
    if not len(down):
        raise ValueError("There is nothing on the pad: draw a digit with a thick stroke.")
    top, left, height, width = down.min(), across.min(), np.ptp(down) + 1, np.ptp(across) + 1
    digit = torch.from_numpy(image[top : top + height, left : left + width].astype(np.float32))
    scale = LONGER / max(height, width)
    size = [max(1, round(side * scale)) for side in (int(height), int(width))]
    scaled = F.interpolate(digit[None, None], size=size, mode="bilinear", antialias=True)[0, 0].numpy()
    middle = [float(np.average(np.arange(n), weights=scaled.sum(1 - axis))) for axis, n in enumerate(size)]
    corner = [
        min(max(round(SIDE / 2 - at), 0), SIDE - n)  # never over the edge
        for at, n in zip(middle, size, strict=True)
    ]
    made = np.zeros((SIDE, SIDE), np.float32)
    made[corner[0] : corner[0] + size[0], corner[1] : corner[1] + size[1]] = scaled
    return np.clip(np.rint(made), 0, 255).astype(np.uint8)
