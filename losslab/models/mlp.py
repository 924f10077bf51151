"""The simplest network that shows the point."""

from torch import nn

from .base import Card, Centred


class Mlp(Centred):
    """Two hidden layers that know nothing of neighbouring pixels."""

    card = Card("MLP", "Two hidden layers: the simplest network there is, and the fastest to train.")

    def layers(self, channels: int, height: int, width: int) -> nn.Sequential:
        return nn.Sequential(
            nn.Flatten(),
            nn.Linear(channels * height * width, 256), nn.SiLU(),
            nn.Linear(256, 128), nn.SiLU(),
        )  # fmt: skip
