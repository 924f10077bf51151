"""A face to where networks expect it: the similarity transform that brings its five points to the standard ones."""

import numpy as np

SIDE = 112
# Of a face in 112 x 112 pixels, as the field crops it: eyes, nose, corners of the mouth, (x, y) each; the left of the
# image first.
POINTS = np.array([[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]])


def similarity(points: np.ndarray, onto: np.ndarray = POINTS) -> np.ndarray:
    """The rotation, scale and shift [2 3] that brings points [n 2] as close as can be, in least squares, to others.

    Umeyama, Least-squares estimation of transformation parameters between two point patterns, PAMI 1991. In the plane
    it is one division: with points as complex numbers z and w, w ≈ a z + b for a = Σ (z − z̄)* (w − w̄) / Σ |z − z̄|².
    ValueError for points that all fall together.
    """
    z, w = (each[:, 0] + 1j * each[:, 1] for each in (np.asarray(points, float), np.asarray(onto, float)))
    around, target = z - z.mean(), w - w.mean()
    spread = np.vdot(around, around).real
    if not spread > 1e-12:
        raise ValueError("The five points of a face fall together: its line of points is damaged.")
    a = np.vdot(around, target) / spread
    b = w.mean() - a * z.mean()
    return np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag]])


def warped(image: np.ndarray, transform: np.ndarray, side: int = SIDE) -> np.ndarray:
    """An image, uint8 [h w 3], moved by a transform [2 3] into [side side 3]: bilinear between pixels, black where the
    image does not reach. Pixels are at whole coordinates, the first at (0, 0)."""
    height, width = image.shape[:2]
    y, x = np.mgrid[:side, :side]
    back = np.linalg.inv(transform[:, :2])
    x, y = np.einsum("ij,jyx->iyx", back, np.stack([x, y]) - transform[:, 2, None, None])
    x, y = x.clip(-1, width) + 1, y.clip(-1, height) + 1  # of the image with a black border around it
    left, top = x.astype(int), y.astype(int)
    bordered = np.pad(image, ((1, 2), (1, 2), (0, 0))).astype(np.float32)
    right, below = ((x - left)[..., None].astype(np.float32), (y - top)[..., None].astype(np.float32))
    upper = bordered[top, left] * (1 - right) + bordered[top, left + 1] * right
    lower = bordered[top + 1, left] * (1 - right) + bordered[top + 1, left + 1] * right
    return np.rint(upper * (1 - below) + lower * below).astype(np.uint8)
