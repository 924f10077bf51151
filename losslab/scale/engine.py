"""One step of a training at full scale, and all that the next one depends on.

The network is the same in every process (DDP adds up its gradients), the classes are divided over them (the head does).
Random numbers of a step follow from the recipe's seed, the step and the process; so nothing of them need be kept, and a
training that goes on draws what it would have drawn.
"""

from collections.abc import Iterator
from contextlib import nullcontext

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from losslab import models
from losslab.classes import FoldedSGD
from losslab.head import Head, PairHead, PrototypeHead, head_for
from losslab.losses import PairLoss
from losslab.training.build import autocast

from .checkpoint import Share, State
from .guard import REMEDY, Guard, SharedScaler
from .norms import shared
from .processes import Processes
from .recipe import ScaleRecipe

AVERAGE = "average."  # before the names of averaged weights in a checkpoint
OPTIMISER = "optimiser."


class Engine:
    """The network, the head, and what trains them. `step` is how many steps were made."""

    def __init__(self, recipe: ScaleRecipe, classes: int, processes: Processes) -> None:
        self.recipe, self.classes, self.processes, self.step = recipe, classes, processes, 0
        device = processes.device
        self.network = network(recipe).to(device)
        if device.type == "cuda":
            self.network = self.network.to(memory_format=torch.channels_last)
        if recipe.statistics == "shared" and not processes.alone:
            self.network = shared(self.network, device)
        self.model: nn.Module = self.network
        if not processes.alone:
            self.model = DistributedDataParallel(
                self.network,
                device_ids=[device.index] if device.type == "cuda" else None,
                gradient_as_bucket_view=True,
            )
        self.head = head(recipe, classes, processes).to(device)
        self.whole = {name: value.shape for name, value in undivided(recipe, classes).items()}
        self.named = {f"model.{name}": value for name, value in self.network.named_parameters() if value.requires_grad}
        self.named |= {f"head.{name}": value for name, value in self.head.named_parameters()}
        if self.head.update is not None:
            del self.named["head.prototypes"]  # which step in the backward pass
        self.optimiser = optimiser(recipe, self.named)
        self.scaler = SharedScaler(processes, recipe.precision == "float16")
        self.guard = Guard(processes)
        self.average = {
            name: value.detach().clone() for name, value in self.network.state_dict().items() if recipe.average
        }
        self.loss = torch.zeros((), device=device)  # this process's mean over the last step
        self.norm = torch.zeros((), device=device)  # length of the last step's gradient

    # -- a step ------------------------------------------------------------------------------------------

    def train(self, shares: Iterator[tuple[Tensor, Tensor]], rate: float) -> Tensor | None:
        """Make a step with the parts that are this process's, each images uint8 [b c h w] and labels [b]. Returns the
        embeddings [b d] of the first part."""
        recipe, parts = self.recipe, self.recipe.parts
        seed_everything(recipe.seed, self.step + 1, self.processes.rank)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        if self.head.update is not None:
            self.head.update.rate = rate
        self.model.train(), self.head.train()
        self.loss, first = torch.zeros_like(self.loss), None
        for part in range(parts):
            images, label = next(shares)
            waiting = part < parts - 1 and isinstance(self.model, DistributedDataParallel)
            with self.model.no_sync() if waiting else nullcontext():
                with autocast(recipe.precision, self.processes.device):
                    embedding = self.model(images)
                first = embedding.detach() if first is None else first
                loss = self._losses(embedding, label)
                self.guard.look(self.step + 1, loss.detach(), label)
                mean = loss.mean() / parts
                self.scaler.scale(mean).backward()
            self.loss += mean.detach()
        self.scaler.unscale_(self.optimiser)
        if recipe.clip:
            self._clip()
        self.scaler.step(self.optimiser)
        self.scaler.update()
        self.step += 1
        if recipe.average:
            self._follow()
        return first

    def forget_gradients(self) -> None:
        """After a step, once nobody asks for its gradients any more."""
        self.optimiser.zero_grad(set_to_none=True)

    def end_epoch(self) -> None:
        self.head.end_epoch()

    def check(self) -> None:
        """ScaleError in every process where numbers have run away in one."""
        self.guard.check()
        self.scaler.check(self.step, self.head)

    def _losses(self, embedding: Tensor, label: Tensor) -> Tensor:
        try:
            return self.head(embedding, label)
        except FloatingPointError:  # The head looks at them where that costs nothing, and raises this in all processes.
            bad, mine = (~embedding.isfinite().all(1)).nonzero().flatten(), ""
            if len(bad):
                mine = (
                    f"The embedding of a sample of class {int(label[bad[0]])} was no finite number at step "
                    f"{self.step + 1}, in process {self.processes.rank}: {REMEDY}"
                )
            self.processes.agree(mine)
            raise

    @torch.no_grad()
    def length(self) -> Tensor:
        """Length of the gradient over all that is clipped, of the whole training: what all processes have alike is
        counted once, what is divided is added up over them."""
        alike, divided = [], []
        for name, value in self.named.items():
            if value.grad is not None and (self.recipe.clipped == "all" or name.startswith("model.")):
                (divided if self.is_divided(name) else alike).append(value.grad)
        squares = [sum_of_squares(each, self.processes.device) for each in (alike, divided)]
        return (squares[0] + self.processes.summed(squares[1])).sqrt()

    @torch.no_grad()
    def _clip(self) -> None:
        self.norm = self.length()
        share = (self.recipe.clip / (self.norm + 1e-12)).clamp(max=1)
        clipped = [
            value.grad
            for name, value in self.named.items()
            if value.grad is not None and (self.recipe.clipped == "all" or name.startswith("model."))
        ]
        torch._foreach_mul_(clipped, share)

    @torch.no_grad()
    def _follow(self) -> None:
        for name, value in self.network.state_dict().items():
            if value.is_floating_point():
                self.average[name].lerp_(value, 1 - self.recipe.average)
            else:
                self.average[name].copy_(value)

    # -- what is divided ---------------------------------------------------------------------------------

    def is_divided(self, name: str) -> bool:
        """Does each process hold its own rows of what a checkpoint calls `name`?"""
        name = name.removeprefix("head.")
        own = self.head.state_dict().get(name)
        return own is not None and own.shape != self.whole[name]

    def share(self, name: str, rows: Tensor) -> Tensor | Share:
        """What a checkpoint takes for a tensor that belongs to what it calls `name`: its weight, or a state of it."""
        if not self.is_divided(name):
            return rows
        total = self.whole[name.removeprefix("head.")][0]
        return Share(rows, self.head.first * (total // self.classes), total)

    # -- checkpoints -------------------------------------------------------------------------------------

    def state(self) -> State:
        """All that the next step depends on, but for numbers that `words` has."""
        state: State = {f"model.{name}": value for name, value in self.network.state_dict().items()}
        state |= {f"head.{name}": self.share(f"head.{name}", value) for name, value in self.head.state_dict().items()}
        state |= {AVERAGE + name: value for name, value in self.average.items()}
        for name, weight in self.named.items():
            for key, value in self.optimiser.state.get(weight, {}).items():
                if isinstance(value, Tensor):
                    like = value.shape == weight.shape
                    state[f"{OPTIMISER}{name}.{key}"] = self.share(name, value) if like else value
        return state

    def words(self) -> dict:
        """The rest, in what JSON knows."""
        return {"classes": self.classes, "scaler": self.scaler.state_dict()}

    def expect(self, names: dict[str, torch.Size]) -> State:
        """`state()`, with room for what the optimiser keeps in a checkpoint of these tensors."""
        for name, weight in self.named.items():
            before = f"{OPTIMISER}{name}."
            for full in names:
                key = full.removeprefix(before)
                if full.startswith(before) and "." not in key:
                    whole = self.whole.get(name.removeprefix("head."), weight.shape)
                    room = torch.zeros_like(weight) if names[full] == whole else weight.new_zeros(names[full])
                    self.optimiser.state[weight][key] = room
        return self.state()

    def resumed(self, step: int, words: dict) -> None:
        """Go on after `step`, once the tensors of `expect` are filled."""
        self.step = step
        if self.scaler.is_enabled():
            self.scaler.load_state_dict(words["scaler"])


def network(recipe: ScaleRecipe) -> nn.Module:
    """The untrained network of a recipe; it follows the seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(recipe.seed)
        channels = 1 if recipe.colour == "grey" else 3
        return models.make(recipe.model, recipe.dim, (channels, recipe.size, recipe.size))


def head(recipe: ScaleRecipe, classes: int, processes: Processes) -> Head:
    if isinstance(recipe.loss, PairLoss):
        return PairHead(recipe.loss, recipe.dim, classes, seed=recipe.seed, group=processes.group)
    return PrototypeHead(
        recipe.loss,
        recipe.dim,
        classes,
        seed=recipe.seed,
        tile=recipe.tile or "auto",
        group=processes.group,
        sample_rate=recipe.sample_rate,
        products=None if recipe.products == "float32" else getattr(torch, recipe.products),
        update=update(recipe),
    )


def update(recipe: ScaleRecipe) -> FoldedSGD | None:
    return FoldedSGD(recipe.rate, recipe.momentum, recipe.decay) if recipe.folded else None


def undivided(recipe: ScaleRecipe, classes: int) -> dict[str, Tensor]:
    """What a head keeps that has all the classes to itself: sizes, without memory."""
    more = {} if isinstance(recipe.loss, PairLoss) else {"update": update(recipe)}
    with torch.device("meta"):
        return head_for(recipe.loss)(recipe.loss, recipe.dim, classes, **more).state_dict()


def optimiser(recipe: ScaleRecipe, named: dict[str, nn.Parameter]) -> torch.optim.Optimizer:
    """Weights decay but for what a loss learns by itself, such as a scale or a threshold."""
    decaying = [value for name, value in named.items() if not name.startswith("head.memory.")]
    free = [value for name, value in named.items() if name.startswith("head.memory.")]
    groups = [{"params": decaying}, *([{"params": free, "weight_decay": 0.0}] if free else [])]
    if recipe.optimiser == "sgd":
        made = torch.optim.SGD(groups, lr=recipe.rate, momentum=recipe.momentum, weight_decay=recipe.decay, fused=True)
        for weight in named.values() if recipe.momentum else ():
            # From the start, and not with the first step: were that one skipped, it would be left without a value.
            made.state[weight]["momentum_buffer"] = torch.zeros_like(weight)
        return made
    betas = (recipe.momentum, 0.999)
    return torch.optim.AdamW(groups, lr=recipe.rate, betas=betas, weight_decay=recipe.decay, fused=True)


def sum_of_squares(tensors: list[Tensor], device: torch.device) -> Tensor:
    if not tensors:
        return torch.zeros((), device=device)
    return torch.stack([norm.float() for norm in torch._foreach_norm(tensors)]).square().sum()


def seed_everything(seed: int, step: int, rank: int) -> None:
    """Of this process, for one step."""
    torch.manual_seed(seed << 40 | (step & 0xFFFFFFF) << 12 | rank & 0xFFF)
