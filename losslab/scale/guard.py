"""What watches over a training: numbers that are no longer finite, gradients that float16 cannot hold, and a first loss
that no untrained network has."""

import math

import torch
from torch import Tensor

from losslab.head import Head, PrototypeHead
from losslab.losses import Loss, MarginLoss, PairLoss, SoftmaxLoss

from .processes import Processes, ScaleError

LEAST_SCALE = 2.0**-10  # of the loss in float16: whose gradients overflow below it are not small numbers at all
TRIED_CLASSES, TRIED_SAMPLES = 20_000, 256  # of the untrained head whose loss is worked out beforehand
SURELY = 4.0  # standard deviations of a batch's mean loss beyond which something is likely wrong
REMEDY = "begin another run with a smaller rate, a longer warm_up, or clip; the checkpoints before that step are kept."
NARROW = 0.9  # length of the mean of the embeddings' directions above which they all point one way


class Guard:
    """Remembers the first loss that is not finite, without stopping a GPU at every step."""

    def __init__(self, processes: Processes) -> None:
        self.processes = processes
        self.step = torch.tensor(-1, device=processes.device)
        self.label = torch.tensor(-1, device=processes.device)

    @torch.no_grad()
    def look(self, step: int, loss: Tensor, label: Tensor) -> None:
        """At the losses [b] of this process's samples, with their labels [b]."""
        bad = ~loss.isfinite()
        first = bad.any() & (self.step < 0)
        self.step = torch.where(first, step, self.step)
        self.label = torch.where(first, label[bad.int().argmax()], self.label)

    def check(self) -> None:
        """ScaleError in every process where one has seen such a loss: when, in which, and of which class."""
        seen = self.processes.gathered((int(self.step), int(self.label)))
        bad = [(step, rank, label) for rank, (step, label) in enumerate(seen) if step >= 0]
        if bad:
            step, rank, label = min(bad)
            raise ScaleError(
                f"The loss of class {label} was no finite number at step {step}, in process {rank}: {REMEDY}"
            )


class SharedScaler(torch.amp.GradScaler):
    """torch's GradScaler where prototypes are divided: a gradient that overflows in one process is skipped by all."""

    def __init__(self, processes: Processes, enabled: bool) -> None:
        super().__init__(processes.device.type, enabled=enabled)
        self.processes = processes
        self.overflown = torch.zeros((), device=processes.device)  # did a gradient of this process, in this step?

    def unscale_(self, optimizer: torch.optim.Optimizer) -> None:
        super().unscale_(optimizer)
        if self.is_enabled():
            for found in self._per_optimizer_states[id(optimizer)]["found_inf_per_device"].values():
                self.overflown = found.clone()
                self.processes.largest(found)

    def check(self, step: int, head: Head) -> None:
        """ScaleError in every process where gradients overflow whatever the loss is multiplied by."""
        if not self.is_enabled() or self.get_scale() >= LEAST_SCALE:
            return
        rows = head.prototypes.grad
        bad = None if rows is None else (~rows.isfinite().all(1)).nonzero().flatten()[:1].tolist()
        mine = f" (class {head.first + bad[0] // head.loss.subcentres})" if bad else ""
        seen = self.processes.gathered((bool(self.overflown), mine))
        where = ", ".join(f"{rank}{mine}" for rank, (bad, mine) in enumerate(seen) if bad) or "none of them now"
        raise ScaleError(
            f"Gradients overflow float16 at step {step} even with the loss multiplied by {self.get_scale():g}, in "
            f"process {where}: begin another run with precision bfloat16 or float32, a smaller rate, or clip."
        )


@torch.no_grad()
def expected(loss: Loss, dim: int, classes: int, norm: float | None = None) -> tuple[float, float] | None:
    """The mean loss of embeddings that know nothing yet, and its standard deviation from sample to sample; None where
    nobody knows: of losses that are no softmax, over more than TRIED_CLASSES, and of losses of pairs, for how alike an
    untrained network makes two images is its own matter.

    Embeddings and prototypes point anywhere, as those of an untrained network do: cosines are about normal with
    deviation 1/√d, so a margin softmax begins near ln(1 + (C − 1) exp(s²/2d − s·positive(0))), which for ArcFace is
    about s·sin m + ln C + s²/2d. It is measured rather than written down for each loss: by the loss itself, on as many
    such embeddings of length `norm` (√d where nothing else is said) as make the mean sure.
    """
    tried, inner = min(classes, TRIED_CLASSES), getattr(loss, "base", loss)
    guessed = tried < classes and (isinstance(loss, MarginLoss) or not isinstance(inner, SoftmaxLoss))
    if guessed or isinstance(loss, PairLoss):
        return None
    draw = torch.Generator().manual_seed(1)
    head = PrototypeHead(loss, dim, tried, seed=0).eval()
    embedding = torch.randn(TRIED_SAMPLES, dim, generator=draw)
    embedding *= (norm or math.sqrt(dim)) / embedding.norm(dim=1, keepdim=True)
    values = head(embedding, torch.randint(tried, (TRIED_SAMPLES,), generator=draw))
    # Classes beyond those tried add as many equal shares to the sum under the logarithm.
    more = math.log(max(1, classes - 1) / max(1, tried - 1))
    return float(values.mean()) + more, float(values.std())


def first_loss(found: float, loss: Loss, dim: int, classes: int, embedding: Tensor, grouped: int = 1) -> str:
    """A warning where the first batch's mean loss, with embeddings [b d] of so many images of an identity each, is not
    that of an untrained network; says what is likely wrong. Nothing where all is well."""
    direction = torch.nn.functional.normalize(embedding.float())
    narrow = float(direction.mean(0).norm())
    if narrow > NARROW and len(embedding) > 1:
        return (
            f"The embeddings of the first batch all point one way (their mean direction has length {narrow:.2f}, where "
            f"1 is one point): is the network made for pixels of this colour order and range, and is it untrained?"
        )
    if (known := expected(loss, dim, classes, float(embedding.float().norm(dim=1).mean()))) is None:
        return ""
    about, deviation = known
    # Even embeddings that are all alike meet another prototype in each class: of which we take half as many as samples.
    independent = max(1, min(len(embedding) // grouped, classes) // 2)
    if abs(found - about) <= SURELY * deviation / math.sqrt(independent) + 0.02 * abs(about):
        return ""
    if found < about:
        return (
            f"The first loss is {found:.2f}, but an untrained network over {classes} classes has about {about:.2f}: "
            "are these weights trained already, or do the labels run over fewer classes than are there?"
        )
    return (
        f"The first loss is {found:.2f}, but an untrained network over {classes} classes has about {about:.2f}: are "
        "the scale and margin those of the recipe, and the pixels those that the network expects?"
    )
