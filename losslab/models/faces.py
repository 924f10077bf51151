"""A residual network for faces that two processor cores train while one looks on."""

import torch
from torch import Tensor, nn

from .base import Card, Centred

WIDTHS = (32, 64, 128)  # channels after each stage


class Residual(Centred):
    """A convolution and three blocks of two; each of the four halves the image. Where on the face a feature is counts
    to the end: with a mean over all places instead, people whom it has never seen are harder to tell apart."""

    card = Card("Small residual", "Three residual blocks: for faces of 32 to 64 pixels, in seconds on a CPU.")
    mean = spread = 127.5

    def layers(self, channels: int, height: int, width: int) -> nn.Sequential:
        first = WIDTHS[0]
        return nn.Sequential(
            convolution(channels, first, 2), nn.BatchNorm2d(first), nn.PReLU(first),
            *(Block(*each) for each in zip((first, *WIDTHS), WIDTHS, strict=False)),
            nn.Flatten(),
        ).to(memory_format=torch.channels_last)  # fmt: skip


class Block(nn.Module):
    """Two convolutions beside a mean over two by two pixels, so that nothing of the image is passed over."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.bent = nn.Sequential(
            convolution(channels, width, 2), nn.BatchNorm2d(width), nn.PReLU(width),
            convolution(width, width), nn.BatchNorm2d(width),
        )  # fmt: skip
        self.straight = nn.Sequential(
            nn.AvgPool2d(2, ceil_mode=True), nn.Conv2d(channels, width, 1, bias=False), nn.BatchNorm2d(width)
        )
        self.prelu = nn.PReLU(width)

    def forward(self, x: Tensor) -> Tensor:
        return self.prelu(self.bent(x) + self.straight(x))


def convolution(channels: int, width: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(channels, width, 3, stride, padding=1, bias=False)
