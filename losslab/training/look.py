"""How training stands: the probe's embeddings and losses, and the accuracy on the whole test part."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from losslab import losses
from losslab.data import Images
from losslab.head import Head, PairHead
from losslab.schedules import Schedule, number

from .build import autocast, repeatable
from .run import Probe, Snapshot

CHUNK = 250  # images in one forward pass where nothing is learnt: what the caches of a core hold
PAIRED = 125  # samples that are compared with one another, about: the triplets of 1000 would fill the memory


class Looker:
    """Looks at a network and its head, and leaves no trace in them."""

    def __init__(self, model: nn.Module, head: Head, probe: Probe, test: Images, precision: str) -> None:
        self.model, self.head, self.test, self.precision = model, head, test, precision
        device = test.labels.device
        self.images = torch.from_numpy(probe.pixels).to(device)
        self.labels = torch.from_numpy(probe.labels).to(device)
        self.held_out = torch.from_numpy(probe.split).to(device).bool()

    def snapshot(self, step: int, scalars: dict[str, float]) -> Snapshot:
        """The probe at this step; `scalars` come after what is measured here, and win."""
        knobs = losses.settings(self.head.loss)
        with self._looking():
            embedding = self._embed(self.images)
            correct = self.head.logits(embedding).argmax(1) == self.labels
            loss = self._losses(embedding)
            gap = self.head.gap(embedding, self.labels)
        scalars = {
            "loss": mean(loss[~self.held_out]),
            "train_accuracy": mean(correct[~self.held_out]),
            "probe_accuracy": mean(correct[self.held_out]),
            **scalars,
        }
        return Snapshot(
            step=step,
            embedding=array(embedding),
            prototypes=array(self.head.prototypes),
            loss=array(loss),
            gap=array(gap),
            correct=correct.cpu().numpy(),
            scalars=scalars,
            knobs={name: number(value, int(self.head.step)) for name, value in knobs.items()},
            planned={name: str(value) for name, value in knobs.items() if isinstance(value, Schedule)},
            memory={name: value.cpu().numpy().copy() for name, value in self.head.memory.state_dict().items()},
            weights=self._weights() | {"step": np.array(step)},
        )

    def test_accuracy(self) -> float:
        """Of every held-out image of the recipe's classes."""
        with self._looking():
            return mean(self.head.logits(self._embed(self.test.images)).argmax(1) == self.test.labels)

    def _embed(self, images: Tensor) -> Tensor:
        with autocast(self.precision, self.labels.device):
            chunks = (chunk.to(self.labels.device) for chunk in images.split(CHUNK))
            return torch.cat([self.model(chunk).float() for chunk in chunks])

    def _losses(self, embedding: Tensor) -> Tensor:
        if not isinstance(self.head, PairHead):
            return self.head(embedding, self.labels)
        # Every so manieth sample, so that all classes meet however the probe is ordered.
        parts, loss = -(-len(embedding) // PAIRED), torch.empty_like(embedding[:, 0])
        for first in range(parts):
            loss[first::parts] = self.head(embedding[first::parts], self.labels[first::parts])
        return loss

    def _weights(self) -> dict[str, np.ndarray]:
        parts = {"model": self.model, "head": self.head}
        return {
            f"{part}.{name}": value.detach().cpu().numpy().copy()
            for part, module in parts.items()
            for name, value in module.state_dict().items()
        }

    @contextmanager
    def _looking(self) -> Iterator[None]:
        self.model.eval(), self.head.eval()
        with torch.inference_mode(), repeatable(self.labels.device):
            yield


def mean(values: Tensor) -> float:
    return values.float().mean().item()


def array(values: Tensor) -> np.ndarray:
    return values.detach().float().cpu().numpy().copy()
