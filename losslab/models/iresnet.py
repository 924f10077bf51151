"""The residual networks of face recognition, for real use: 112 x 112 pixels to 512 numbers.

ArcFace (1801.07698) section 3.1 and Improved Residual Networks (2004.04989). Layers bear the names that they have in
insightface's published weights.
"""

from typing import ClassVar

from torch import Tensor, nn

from .base import Backbone, Card

SMALLEST, LARGEST, STEP = 32, 112, 16  # pixels of a side: four stages halve it
WIDTHS = (64, 128, 256, 512)  # channels after each stage


class Block(nn.Module):
    """Two convolutions whose result is added to what came in. The second one strides, and nothing follows the sum."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv1 = convolution(channels, width)
        self.bn2 = nn.BatchNorm2d(width)
        self.prelu = nn.PReLU(width)
        self.conv2 = convolution(width, width, stride)
        self.bn3 = nn.BatchNorm2d(width)
        self.downsample = None
        if stride > 1 or channels != width:
            self.downsample = nn.Sequential(nn.Conv2d(channels, width, 1, stride, bias=False), nn.BatchNorm2d(width))

    def forward(self, x: Tensor) -> Tensor:
        bent = self.prelu(self.bn2(self.conv1(self.bn1(x))))
        return self.bn3(self.conv2(bent)) + (x if self.downsample is None else self.downsample(x))


class IResNet(Backbone):
    """A subclass says how many blocks each of the four stages has. Grey images are taken for colour ones of three equal
    channels, so that the same weights serve both.

    The last normalisation has no weight to learn (it is held at 1), only an offset.
    """

    mean = spread = 127.5  # (x / 255 − ½) / ½
    blocks: ClassVar[tuple[int, int, int, int]]
    drop: ClassVar[float] = 0.0  # share of the features left out in training, as insightface trains on millions

    def __init__(self, dim: int, shape: tuple[int, int, int]) -> None:
        super().__init__()
        check(shape)
        self.conv1 = convolution(3, 64)
        self.bn1 = nn.BatchNorm2d(64)
        self.prelu = nn.PReLU(64)
        before = (64, *WIDTHS)
        self.layer1, self.layer2, self.layer3, self.layer4 = (
            stage(*each) for each in zip(before, WIDTHS, self.blocks, strict=False)
        )
        self.bn2 = nn.BatchNorm2d(512)
        self.dropout = nn.Dropout(self.drop)
        self.fc = nn.Linear(512 * (shape[1] // STEP) * (shape[2] // STEP), dim)
        self.features = nn.BatchNorm1d(dim)
        self.features.weight.requires_grad = False
        for part in self.modules():
            if isinstance(part, nn.Conv2d):
                nn.init.normal_(part.weight, 0, 0.1)

    def embedding(self, pixels: Tensor) -> Tensor:
        x = self.prelu(self.bn1(self.conv1(pixels.expand(-1, 3, -1, -1))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.features(self.fc(self.dropout(self.bn2(x)).flatten(1)))


class IResNet18(IResNet):
    card = Card("IResNet-18", "Residual, 17 convolutions, 24 million weights: faces of 32 to 112 pixels, on a GPU.")
    blocks = (2, 2, 2, 2)


class IResNet34(IResNet):
    card = Card("IResNet-34", "Residual, 33 convolutions, 34 million weights: faces of 32 to 112 pixels, on a GPU.")
    blocks = (3, 4, 6, 3)


class IResNet50(IResNet):
    card = Card("IResNet-50", "Residual, 49 convolutions, 44 million weights: faces of 32 to 112 pixels, on a GPU.")
    blocks = (3, 4, 14, 3)


class IResNet100(IResNet):
    card = Card("IResNet-100", "Residual, 99 convolutions, 65 million weights: faces of 32 to 112 pixels, on a GPU.")
    blocks = (3, 13, 30, 3)


def stage(channels: int, width: int, blocks: int) -> nn.Sequential:
    """The first block halves the image."""
    return nn.Sequential(Block(channels, width, 2), *(Block(width, width, 1) for _ in range(blocks - 1)))


def convolution(channels: int, width: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(channels, width, 3, stride, padding=1, bias=False)


def check(shape: tuple[int, int, int]) -> None:
    """ValueError for a shape (channels, height, width) that an IResNet cannot take."""
    channels, *sides = shape
    if channels not in (1, 3) or any(side % STEP or not SMALLEST <= side <= LARGEST for side in sides):
        raise ValueError(
            f"An IResNet takes grey or colour images whose sides are multiples of {STEP} from {SMALLEST} to {LARGEST} "
            f"pixels, and these have {channels} channel{'s' if channels != 1 else ''} of {sides[0]} x {sides[1]} "
            "pixels: choose another size, or another network."
        )
