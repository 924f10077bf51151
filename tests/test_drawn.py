"""A drawn digit takes the form that MNIST gave its own."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from losslab import data
from losslab.data.drawn import centred


def digits(count: int) -> np.ndarray:
    return data.load("mnist", "test").images[:count, 0].numpy()


def resized(image: np.ndarray, side: int) -> np.ndarray:
    small = F.interpolate(torch.from_numpy(image)[None, None].float(), side, mode="bilinear", antialias=True)
    return small[0, 0].round().to(torch.uint8).numpy()


def test_digits_of_mnist_stay_as_they_are():
    images = digits(300)
    changed = [np.abs(centred(image).astype(int) - image).max() for image in images]
    assert np.mean(np.array(changed) < 10) > 0.98


def test_it_does_not_matter_where_a_digit_is_drawn_and_hardly_how_large():
    alike = []
    for image in digits(40):
        drawn = np.zeros((28, 28), np.uint8)
        drawn[:16, :16] = resized(image, 16)
        found = centred(drawn)
        assert np.array_equal(centred(np.roll(drawn, (12, 5), (0, 1))), found)
        alike.append(np.corrcoef(found.ravel(), image.ravel())[0, 1])
    assert np.median(alike) > 0.8


def test_the_longer_side_is_20_pixels_and_the_mass_is_in_the_middle():
    drawn = np.zeros((28, 28), np.uint8)
    drawn[2:6, 3:13] = 200
    found = centred(drawn)
    down, across = np.nonzero(found)
    assert np.ptp(across) + 1 == 20 and np.ptp(down) + 1 == 8
    assert abs(np.average(np.arange(28), weights=found.sum(0)) - 14) <= 0.5
    assert abs(np.average(np.arange(28), weights=found.sum(1)) - 14) <= 0.5


def test_a_dot_and_a_full_pad_are_drawings_too():
    dot = np.zeros((28, 28), np.uint8)
    dot[0, 27] = 255
    assert (centred(dot) > 0).sum() == 400
    assert (centred(np.full((28, 28), 255, np.uint8)) > 0).sum() == 400


def test_what_is_no_drawing_is_refused():
    with pytest.raises(ValueError, match="nothing on the pad"):
        centred(np.zeros((28, 28), np.uint8))
    with pytest.raises(ValueError, match=r"uint8 \[28 28\]; this is float32 \[28, 27\]"):
        centred(np.zeros((28, 27), np.float32))
