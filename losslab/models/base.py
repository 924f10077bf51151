"""What every network is here: images in, embeddings out, of any length."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Card:
    """What a reader needs to know of a network."""

    title: str
    sentence: str


class Backbone(nn.Module):
    """Maps images, uint8 [b channels height width], to embeddings [b d].

    A subclass declares its `card`, is made from the length d of an embedding and the shape of an image, (channels,
    height, width), and maps pixels to embeddings. A shape that it cannot take is a ValueError.
    """

    card: ClassVar[Card]
    mean: ClassVar[float] = 33.0  # of pixels from 0 to 255, here those of handwritten digits
    spread: ClassVar[float] = 79.0

    def embedding(self, pixels: Tensor) -> Tensor:
        """From pixels of mean about 0 and spread about 1, float [b channels height width], to embeddings [b d]."""
        raise NotImplementedError

    def forward(self, images: Tensor) -> Tensor:
        return self.embedding((images.float() - self.mean) / self.spread)


class Centred(Backbone):
    """A network of which a subclass says only the layers before the embedding. What ends it is always the same: each
    feature loses its mean over the images and is brought to one spread, and a linear layer makes the embedding.

    Without that, the features of an untrained network are all positive, so all embeddings begin in one narrow cone;
    there a margin loss draws prototypes and samples together into one point and never gets them apart again. The
    linear layer itself has no normalisation behind it: how long an embedding is stays the loss's business.
    """

    def __init__(self, dim: int, shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.features = self.layers(*shape)
        with torch.no_grad():
            features = self.features(torch.zeros(2, *shape)).shape[1]
        self.centre = nn.BatchNorm1d(features, affine=False)
        self.embed = nn.Linear(features, dim)

    def layers(self, channels: int, height: int, width: int) -> nn.Sequential:
        """From pixels, float [b channels height width], to features [b f]."""
        raise NotImplementedError

    def embedding(self, pixels: Tensor) -> Tensor:
        return self.embed(self.centre(self.features(pixels)))
