"""PrototypeHead: embeddings and labels in, one loss per sample out."""

import torch
from torch import Tensor, nn

from .geometry import unit
from .losses import Angles, Loss


class PrototypeHead(nn.Module):
    """The class prototypes [C, d] and the arithmetic around a loss, in float32 or better whatever the input.

    `head(embedding, label)` returns one loss per sample; `.mean()` is the caller's word. `head.loss` may be
    replaced at any time: knobs take effect at the next call. In `eval()` random margins take their mean.
    """

    def __init__(self, loss: Loss, dim: int, classes: int, *, seed: int | None = None) -> None:
        """
        Args:
            loss: what to apply, such as `ArcFace(scale=64, margin=0.5)`.
            dim: length d of an embedding.
            classes: number C of classes; labels run from 0 to C − 1.
            seed: for the first prototypes and the random margins; without it they follow torch's global seed.
        """
        super().__init__()
        if dim < 1 or classes < 1:
            raise ValueError(f"A head needs at least 1 dimension and 1 class; it was given {dim} and {classes}.")
        self.loss, self.dim, self.classes = loss, dim, classes
        self.draw = torch.Generator().manual_seed(torch.initial_seed() if seed is None else seed)
        # Length about 1 in any dimension: uniform directions, and a step of the same angle for every d.
        first = torch.randn(classes, dim, generator=None if seed is None else self.draw) / dim**0.5
        self.prototypes = nn.Parameter(first)

    def forward(self, embedding: Tensor, label: Tensor) -> Tensor:
        """Losses [b] (float32, float64 if the embedding is) for embeddings [b, d] and labels [b], int64 in [0, C)."""
        return self.loss(self.angles(embedding, label, self.draw if self.training else None))

    def logits(self, embedding: Tensor) -> Tensor:
        """[b, C], scaled and without margin: what inference ranks by."""
        label = torch.zeros(len(embedding), dtype=torch.long, device=embedding.device)
        return self.loss.logits(self.angles(embedding, label))

    @torch.no_grad()
    def gap(self, embedding: Tensor, label: Tensor) -> Tensor:
        """[b], positive minus best negative (in cosine, before the scale): above zero clears the margin."""
        return self.loss.gap(self.angles(embedding, label))

    def angles(self, embedding: Tensor, label: Tensor, draw: torch.Generator | None = None) -> Angles:
        """What the batch sees of the classes."""
        self._check(embedding, label)
        dtype = torch.promote_types(torch.promote_types(embedding.dtype, self.prototypes.dtype), torch.float32)
        # Shorter than this a gradient would not fit the embedding's own type (it is the push divided by the length).
        floor = 1e-2 if embedding.dtype == torch.float16 else 1e-12
        with torch.autocast(embedding.device.type, enabled=False):
            direction, norm = unit(embedding.to(dtype), floor)
            prototype, length = unit(self.prototypes.to(dtype))
            cosine = direction @ prototype.T
            target = cosine.gather(1, label[:, None]).squeeze(1)
        return Angles(cosine, target, label, norm, length, draw)

    def _check(self, embedding: Tensor, label: Tensor) -> None:
        if embedding.ndim != 2 or embedding.shape[1] != self.dim or not embedding.is_floating_point():
            shape = f"{embedding.dtype} {list(embedding.shape)}"
            raise ValueError(f"Embeddings must be floating point [batch, {self.dim}]; these are {shape}.")
        if label.dtype != torch.long or label.shape != embedding.shape[:1]:
            shape = f"{label.dtype} {list(label.shape)}"
            raise ValueError(f"Labels must be int64 [{len(embedding)}], one per embedding; these are {shape}.")
        # On an accelerator reading the range would stop the device at every step; there the gather itself asserts.
        if label.device.type == "cpu" and len(label) and not (0 <= label.min() and label.max() < self.classes):
            low, high = int(label.min()), int(label.max())
            raise ValueError(f"Labels must run from 0 to {self.classes - 1}; these run from {low} to {high}.")

    def extra_repr(self) -> str:
        return f"{self.loss}, dim={self.dim}, classes={self.classes}"
