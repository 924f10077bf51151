"""What a batch says of a head: angles, gaps, who still pushes, which margins wrap around; and what to expect of a loss
before anything is trained."""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import torch
from torch import Tensor

from .catalogue import knobs
from .geometry import angle
from .head import Head, PairHead, head_for
from .losses import Angles, Loss, settings
from .losses.kappaface import concentration

FAINT = 0.01  # of the scale (of 1 where there is none): a sample that pushes less is saturated


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """Of b samples against C classes. Angles in radians. Print it, or read `findings()`, for sentences."""

    own: Tensor  # [b] angle to the own prototype
    nearest: Tensor  # [b] angle to the nearest other prototype
    gap: Tensor  # [b] above zero clears the margin
    correct: Tensor  # [b] bool, the largest plain logit is the own class's
    push: Tensor  # [b] length of −dL/du on the unit sphere
    saturated: float  # share of the samples whose push is below a hundredth of the scale, or of 1
    wrapped: float | None  # share whose angle with its margin is past 180°; None where no angle has a margin
    concentration: Tensor  # [C] κ of a von Mises–Fisher distribution; NaN for a class with fewer than two samples
    loss: float  # mean over the samples
    expected: float  # mean loss to expect of a fresh head and random embeddings of this length
    scale: float | None  # in force; None for a loss without one
    smallest: float  # the smallest sensible scale for C classes, see `smallest_scale`

    def findings(self, names: Sequence[str] | None = None) -> list[str]:
        """One sentence for each thing worth knowing; `names` are those of the classes, else their numbers."""
        names = names or [f"class {label}" for label in range(len(self.concentration))]
        middle, most = torch.quantile(self.own.rad2deg(), torch.tensor([0.5, 0.9], dtype=self.own.dtype)).tolist()
        clear, wrong = (self.gap > 0).double().mean().item(), (~self.correct).double().mean().item()
        said = [
            f"Half of the samples are within {middle:.0f}° of their prototype and nine in ten within {most:.0f}°; "
            f"the nearest other one is at {self.nearest.median().rad2deg().item():.0f}° (median).",
            f"{clear:.0%} clear the margin, {max(1 - clear - wrong, 0):.0%} are right but inside it, {wrong:.0%} are "
            "wrong.",
            f"{self.saturated:.0%} are saturated: they push with less than "
            + (f"{FAINT:g}." if self.scale is None else f"{FAINT:.0%} of the scale."),
        ]
        if self.wrapped is not None:
            said.append(f"{self.wrapped:.1%} are so far away that angle and margin pass 180° (see `beyond`).")
        known = {names[label]: value for label, value in enumerate(self.concentration.tolist()) if value == value}
        if len(known) > 1:
            loose, tight = min(known, key=known.get), max(known, key=known.get)
            said.append(
                f"Concentration κ is {median(known.values()):.3g} (median): from {known[loose]:.3g} ({loose}) to "
                f"{known[tight]:.3g} ({tight})."
            )
        said.append(f"The loss is {self.loss:.3g}; with random embeddings a fresh head starts at {self.expected:.3g}.")
        if self.scale is not None:
            verdict = "is below" if self.scale < self.smallest else "is above"
            said.append(
                f"The scale {self.scale:.3g} {verdict} {self.smallest:.3g}, the smallest at which a perfect sample "
                f"among {len(self.concentration)} classes can reach a probability of 0.9."
            )
        return said

    def __str__(self) -> str:
        return "\n".join(self.findings())


def diagnose(head: Head, embedding: Tensor, label: Tensor) -> Diagnosis:
    """Look at a head through the embeddings [b, d] of samples with labels [b]; nothing in it changes.

    Errors are those of the head, and ValueError for a batch with nothing to look at.
    """
    if not len(label) or (label == head.ignore_index).all():
        raise ValueError("There is nothing to diagnose: give at least one sample with a label.")
    training = head.training
    try:
        return _diagnose(head.eval(), embedding, label)
    finally:
        head.train(training)


def _diagnose(head: Head, embedding: Tensor, label: Tensor) -> Diagnosis:
    kept = label != head.ignore_index
    embedding, label = embedding[kept].detach(), label[kept]
    with torch.no_grad():
        a, loss = head.angles(embedding, label), head.loss.at(head.step)
    with torch.enable_grad():
        place = a.embedding.clone().requires_grad_()
        losses = head(place, label)
        # A batch loss may look at other samples too: what each place changes in the sum is its push.
        (slope,) = torch.autograd.grad(losses.sum(), place)
    # On the unit sphere: without the part along the embedding, and not divided by its length.
    push = torch.linalg.vector_norm((slope - (slope * a.direction).sum(1, keepdim=True) * a.direction), dim=1) * a.norm
    values = settings(loss)
    scale = next((float(values[name]) for name in ("scale", "base_scale") if name in values), None)
    with torch.no_grad():
        return Diagnosis(
            own=angle(a.target),
            nearest=angle(a.others(a.cosine).amax(1).clamp(-1, 1)),
            gap=loss.gap(a),
            correct=loss.logits(a).argmax(1) == label,
            push=push,
            saturated=(push < FAINT * (scale or 1)).double().mean().item(),
            wrapped=wrapped(loss, a),
            concentration=spread(a, head.classes),
            loss=losses.mean().item(),
            expected=expected_loss(loss, head.dim, head.classes, norm=a.norm.mean().item()),
            scale=scale,
            smallest=smallest_scale(max(head.classes, 2)),
        )


def wrapped(loss: Loss, a: Angles) -> float | None:
    """Share of the samples for which angle and margin pass 180°: where the raw curve rises with the angle again."""
    inner = getattr(loss, "base", None)
    if isinstance(inner, Loss):
        return wrapped(inner, dataclasses.replace(a, memory=a.memory and a.memory.base))
    if "beyond" not in knobs(loss):
        return None
    with torch.enable_grad():
        target = a.target.clone().requires_grad_()
        raw = dataclasses.replace(loss, beyond="raw", gradient="exact").positive(dataclasses.replace(a, target=target))
        (slope,) = torch.autograd.grad(raw.sum(), target)
    return (slope < 0).double().mean().item()


def spread(a: Angles, classes: int) -> Tensor:
    """κ [C] of each class's directions; NaN for a class with fewer than two samples."""
    sums = torch.zeros(classes, a.direction.shape[1], dtype=a.direction.dtype, device=a.direction.device)
    sums.index_add_(0, a.label, a.direction)
    count = torch.bincount(a.label, minlength=classes)
    r = (torch.linalg.vector_norm(sums, dim=1) / count).clamp(max=1 - 1e-6)
    return torch.where(count > 1, concentration(r, a.direction.shape[1]), math.nan)


def expected_loss(loss: Loss, dim: int, classes: int, *, norm: float = 1.0) -> float:
    """The mean loss of a fresh head (seed 0) on random embeddings of length `norm`: what step 0 should show. Holds
    C·d numbers and, for up to 512 samples, about four million cosines."""
    samples = min(512, max(8, 4_000_000 // classes))
    draw = torch.Generator().manual_seed(1)  # not the head's, or the samples would be its prototypes
    head = head_for(loss)(loss, dim, classes, seed=0).eval()
    place = torch.randn(samples, dim, generator=draw)
    label = torch.randint(classes, (samples,), generator=draw)
    if isinstance(head, PairHead):
        label = label % max(2, samples // 8)  # pairs of one class must meet
    with torch.no_grad():
        return head(norm * torch.nn.functional.normalize(place), label).mean().item()


def smallest_scale(classes: int, probability: float = 0.9) -> float:
    """The scale from which a sample at its prototype, with all others as far as they can all be, reaches this softmax
    probability: (C − 1)/C · ln((C − 1)P/(1 − P)) (Wang et al., CosFace, CVPR 2018, the bound on s)."""
    if classes < 2 or not 0 < probability < 1:
        raise ValueError(f"It takes 2 classes or more and a probability in (0, 1), not {classes} and {probability}.")
    return (classes - 1) / classes * math.log((classes - 1) * probability / (1 - probability))


def loss_floor(scale: float, classes: int) -> float:
    """The softmax loss of that perfect sample, log(1 + (C − 1)e^{−sC/(C − 1)}): no training gets below it (Wang et al.,
    NormFace, ACM MM 2017)."""
    if classes < 2:
        return 0.0
    return math.log1p((classes - 1) * math.exp(-scale * classes / (classes - 1)))
