"""One exact margin-softmax step over many classes: forward and backward to embeddings and prototypes, its time and what
memory it needs beyond embeddings and prototypes. Each case is a process of its own."""

import json
import math
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from losslab import ArcFace, ElasticFace, InterFace, KappaFace, PrototypeHead
from losslab.classes import FoldedSGD
from losslab.losses import Loss

from .report import Row, Table

BATCH, DIM = 512, 512
CLASSES, QUICK = (10_000, 100_000, 1_000_000), (2_000,)
ROOM = 16 * 2**30  # bytes: a step that would need more is left out
LOSSES: dict[str, Loss] = {
    "ArcFace": ArcFace(scale=64, margin=0.5),
    "ElasticFace": ElasticFace(scale=64, margin=0.5, spread=0.0125),
    "KappaFace": KappaFace(),
    "InterFace": InterFace(),
}
HOW = (
    "{loss}, b = 512, d = 512, float32, one process of two threads a case. Time: median of {times} steps after one. "
    "Memory: the highest resident size of the process less that before the step, when embeddings and prototypes are "
    "there; the prototype gradient itself is {gradient:.2f} GB. Peer: the fastest of the three for time, plain PyTorch "
    "for memory. Plain PyTorch normalises, multiplies, puts the margin on the own column and calls cross_entropy; the "
    "Partial FC step works in place and has a softmax of its own, at sample rate 1. With an update folded into the "
    "backward pass the prototypes have made their step of SGD with momentum, and no gradient of them was held."
)


def measure(*, quick: bool) -> list[Table]:
    tables = []
    for classes in QUICK if quick else CLASSES:
        for name in LOSSES:
            tables.append(table(name, classes, 2 if quick or classes >= 10**6 else 3))
    return tables


def table(name: str, classes: int, times: int) -> Table:
    found = {way: alone(name, way, classes, times) for way in WAYS if fits(name, way, classes)}
    peers = [found[way] for way in PEERS if found.get(way)]
    fastest = min((peer["seconds"] for peer in peers), key=lambda took: sorted(took)[len(took) // 2], default=None)
    plain = found.get("plain PyTorch")
    target = {10_000: 1 / 0.7, 100_000: 2.5, 1_000_000: 2.5}.get(classes)
    rows = []
    for way, made in found.items():
        if made is None:
            continue
        mine = way not in PEERS
        goal = target if way == "ours, tiled" else 4.0 if way == "ours, half-precision products" and target else None
        rows.append(Row(f"{way}: time", made["seconds"], fastest if mine else None, target_ratio=goal))
        memory = [made["bytes"] / 1e9]
        rows.append(Row(f"{way}: memory", memory, [plain["bytes"] / 1e9] if mine and plain else None, unit="GB"))
    how = HOW.format(loss=LOSSES[name], times=times, gradient=4 * classes * DIM / 1e9)
    return Table(f"A step over {f'{classes:,}'.replace(',', ' ')} classes, {name}", how, rows)


def fits(name: str, way: str, classes: int) -> bool:
    """Some peers know ArcFace alone; and who holds all logits several times needs room for them."""
    if way in ("pytorch-metric-learning", "a Partial FC step") and name != "ArcFace":
        return False
    sampled, tiled = way.endswith("sampled"), not way.endswith("at once") and way.startswith("ours")
    # InterFace has a second table and bends both.
    copies = 1 if sampled else 0 if tiled else 10 if name == "InterFace" else 4
    return 4 * classes * (copies * BATCH + 3 * DIM) < ROOM


def alone(name: str, way: str, classes: int, times: int) -> dict | None:
    """The case in a process of its own; None where it does not end well."""
    command = [sys.executable, "-m", "benchmarks.heads", name, way, str(classes), str(times)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[1])
    return json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else None


def case(name: str, way: str, classes: int, times: int) -> dict:
    torch.manual_seed(0)
    embedding = torch.randn(BATCH, DIM, requires_grad=True)
    label = torch.randint(classes, (BATCH,))
    step = WAYS[way](LOSSES[name], classes)
    Path("/proc/self/clear_refs").write_text("5")  # the highest size begins anew
    before = resident("VmRSS")
    took = []
    for _ in range(times + 1):
        embedding.grad = None
        began = time.perf_counter()
        step(embedding, label)
        took.append(time.perf_counter() - began)
    return {"seconds": took[1:], "bytes": resident("VmHWM") - before}


def resident(what: str) -> int:
    """Bytes of memory that this process holds (VmRSS), or held at most (VmHWM)."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(what))
    return 1024 * int(line.split()[1])


# -- ways ----------------------------------------------------------------------------------------------------

Step = Callable[[Tensor, Tensor], None]


def ours(**options) -> Callable[[Loss, int], Step]:
    def made(loss: Loss, classes: int) -> Step:
        head = PrototypeHead(loss, DIM, classes, seed=0, **options)

        def step(embedding: Tensor, label: Tensor) -> None:
            head.prototypes.grad = None
            head(embedding, label).mean().backward()

        return step

    return made


def plain(loss: Loss, classes: int) -> Step:
    """As it is written in a notebook."""
    weight = torch.nn.Parameter(torch.randn(classes, DIM))
    margins = torch.rand(classes) * loss.margin  # of KappaFace

    def step(embedding: Tensor, label: Tensor) -> None:
        weight.grad = None
        direction, prototype = F.normalize(embedding), F.normalize(weight)
        cosine = F.linear(direction, prototype)
        target = cosine.gather(1, label[:, None]).clamp(-1 + 1e-7, 1 - 1e-7)
        margin = {
            ElasticFace: lambda: torch.normal(loss.margin, 0.0125, target.shape),
            KappaFace: lambda: margins[label][:, None],
        }.get(type(loss), lambda: loss.margin)()
        logits = cosine
        if isinstance(loss, InterFace):
            with torch.no_grad():
                between = F.linear(prototype[label], prototype).clamp(-1, 1).acos().clamp(min=0.01)
                away = 0.1 * (torch.exp(-math.pi / 18 / between) - torch.exp(-target.acos() / between))
            logits = torch.cos(cosine.clamp(-1 + 1e-7, 1 - 1e-7).acos() - away)
        logits = logits.scatter(1, label[:, None], torch.cos(target.acos() + margin))
        F.cross_entropy(64 * logits, label).backward()

    return step


def metric_learning(loss: Loss, classes: int) -> Step:
    from pytorch_metric_learning.losses import ArcFaceLoss

    made = ArcFaceLoss(classes, DIM, margin=math.degrees(loss.margin), scale=loss.scale)

    def step(embedding: Tensor, label: Tensor) -> None:
        made.W.grad = None
        made(embedding, label).backward()

    return step


def partial_fc(loss: Loss, classes: int) -> Step:
    """The common training step of Partial FC (2203.15565) at sample rate 1: angles in place, a softmax of its own."""
    weight = torch.nn.Parameter(torch.randn(classes, DIM) * 0.01)

    def step(embedding: Tensor, label: Tensor) -> None:
        weight.grad = None
        logits = F.linear(F.normalize(embedding), F.normalize(weight)).clamp(-1, 1)
        rows = torch.arange(len(label))
        with torch.no_grad():
            own = logits[rows, label].acos() + loss.margin
            logits.acos_()
            logits[rows, label] = own
            logits.cos_()
        Softmax.apply(logits * loss.scale, label).backward()

    return step


class Softmax(torch.autograd.Function):
    """Cross-entropy whose probabilities take the logits' place."""

    @staticmethod
    def forward(ctx, logits: Tensor, label: Tensor) -> Tensor:
        logits.sub_(logits.max(1, keepdim=True).values).exp_()
        logits.div_(logits.sum(1, keepdim=True))
        ctx.save_for_backward(logits, label)
        return -logits.gather(1, label[:, None]).clamp(min=1e-30).log().mean()

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, None]:
        probability, label = ctx.saved_tensors
        probability[torch.arange(len(label)), label] -= 1
        return probability.div_(len(label)).mul_(grad), None


WAYS: dict[str, Callable[[Loss, int], Step]] = {
    "ours, tiled": ours(tile="auto"),
    "ours, half-precision products": ours(tile="auto", products=torch.bfloat16),
    "ours, tiled, with an update": ours(tile="auto", update=FoldedSGD(rate=0.1)),
    "ours, all at once": ours(tile=None),
    "ours, a tenth sampled": ours(sample_rate=0.1),
    "plain PyTorch": plain,
    "pytorch-metric-learning": metric_learning,
    "a Partial FC step": partial_fc,
}
PEERS = ("plain PyTorch", "pytorch-metric-learning", "a Partial FC step")

if __name__ == "__main__":
    print(json.dumps(case(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))))
