"""Heads: embeddings and labels in, one loss per sample out."""

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.distributed import ProcessGroup

from .classes import Batch, Division, FoldedSGD, Gathered, Processes, drawn
from .classes.products import Products
from .geometry import unit
from .group import everyones
from .losses import Angles, Loss, Memory, PairLoss, Pairs

Method = TypeVar("Method", bound=Callable[..., Any])
FEW = 1_000  # classes up to which one table of all is about as fast as tiles


def wide(method: Method) -> Method:
    """A method that computes in the precision of its tensors: autocast, which would round products to half, is off."""

    @functools.wraps(method)
    def run(self: "Head", tensor: Tensor, *more: Any, **named: Any) -> Any:
        device = tensor.device.type
        if not torch.amp.is_autocast_available(device):
            return method(self, tensor, *more, **named)
        with torch.autocast(device, enabled=False):
            return method(self, tensor, *more, **named)

    return cast(Method, run)


def uncompiled(method: Method) -> Method:
    """What is around it may be compiled; it works gradients out, or talks to other processes, by itself."""
    # Not as a decorator: that would bring the compiler with every import of losslab.
    return torch.compiler.disable(method) if torch.compiler.is_compiling() else method


class Head(nn.Module):
    """What both heads share: a direction for each class, and the arithmetic around a loss, in float32 or better
    whatever the input.

    `head(embedding, label)` returns one loss per sample; `.mean()` is the caller's word. `head.loss` may be replaced
    at any time by one of its kind: knobs take effect at the next call. A call in training mode is a step: schedules
    move on, random margins are drawn anew, slow state is kept up. In `eval()` margins take their mean and nothing
    changes. `end_epoch()` is for the losses that look back over an epoch.
    """

    prototypes: Tensor  # [C d]; [C·K d] for a loss with K prototypes a class
    step: Tensor  # calls in training so far
    seed: Tensor
    if TYPE_CHECKING:

        def __call__(self, embedding: Tensor, label: Tensor) -> Tensor: ...

    division: Division | None = None  # how the classes are divided, if they are
    # What a head with learned prototypes may be told of them.
    sample_rate: float = 1.0
    products: Products = Products(None)
    update: FoldedSGD | None = None

    def __init__(
        self, loss: Loss, dim: int, classes: int, *, seed: int | None = None, ignore_index: int = -100
    ) -> None:
        """
        Args:
            loss: what to apply, such as `ArcFace(scale=64, margin=0.5)`.
            dim: length d of an embedding.
            classes: number C of classes; labels run from 0 to C − 1.
            seed: for the first prototypes and the random margins; without it they follow torch's global seed.
            ignore_index: a sample with this label costs 0 and pushes nowhere (a `.mean()` still divides by it).
        """
        super().__init__()
        if dim < 1 or classes < 1:
            raise ValueError(f"A head needs at least 1 dimension and 1 class; it was given {dim} and {classes}.")
        if isinstance(loss, PairLoss) is not isinstance(self, PairHead):
            raise ValueError(
                f"{type(loss).__name__} does not belong in a {type(self).__name__}: losses of pairs need a PairHead, "
                "all others a PrototypeHead."
            )
        self.loss, self.dim, self.classes, self.ignore_index = loss, dim, classes, ignore_index
        draw = None if seed is None else torch.Generator().manual_seed(seed)
        k = loss.subcentres
        # Length about 1 in any dimension: uniform directions, and a step of the same angle for every d.
        self._own(drawn(classes * k, dim, draw, self.first * k, self.count * k) / dim**0.5)
        self.memory = Memory(loss.at(torch.tensor(0)), dim, classes, draw, self.division)
        self.register_buffer("seed", torch.tensor((torch.initial_seed() if seed is None else seed) & 0xFFFFFFFF))
        self.register_buffer("step", torch.tensor(0))

    def _own(self, first: Tensor) -> None:
        """Make `prototypes` out of random directions."""
        raise NotImplementedError

    @property
    def first(self) -> int:
        """The first class whose prototypes are here."""
        return self.division.first if self.division else 0

    @property
    def count(self) -> int:
        """How many classes have their prototypes here."""
        return self.division.count if self.division else self.classes

    @wide
    def logits(self, embedding: Tensor) -> Tensor:
        """[b, C], scaled and without margin: what inference ranks by. Of classes that are divided over processes, those
        that are here."""
        label = torch.zeros(len(embedding), dtype=torch.long, device=embedding.device)
        return self.loss.at(self.step).logits(self._table(embedding, label))

    @wide
    @torch.no_grad()
    def gap(self, embedding: Tensor, label: Tensor) -> Tensor:
        """[b], positive minus best negative (in cosine, before the scale): above zero clears the margin."""
        if self.division is None:
            return self.loss.at(self.step).gap(self.angles(embedding, label))
        a, batch = self._pieces(embedding, label)
        return batch.own(self.loss.at(self.step).gap(a))

    @wide
    @torch.no_grad()
    def curves(self, angle: Tensor, norm: float = 1.0) -> tuple[Tensor, Tensor]:
        """The two curves at `angle` [t] (radians): the positive of each class [C t] and the negative [t], for
        embeddings of length `norm`, prototypes of length 1, random margins at their mean."""
        points, count = len(angle), self.classes
        cosine, label = angle.cos().repeat(count), torch.arange(count, device=angle.device).repeat_interleave(points)
        a = self.seen(cosine[:, None].expand(-1, count), label, norm)
        loss = self.loss.at(self.step)
        return loss.positive(a).view(count, points), loss.negative(a)[:points, -1]

    def seen(self, cosine: Tensor, label: Tensor, norm: float = 1.0) -> Angles:
        """What a loss sees of samples whose cosines [n C] to the classes are simply given, with labels [n], for
        embeddings of length `norm` and prototypes of length 1: for pictures of angles. No place need have such angles,
        so what looks at places (centres, say) sees every embedding at the origin."""
        self._all_here()
        count, place = cosine.shape[1], cosine.new_zeros(len(cosine), self.dim)
        target = cosine.gather(1, label[:, None]).squeeze(1)
        return Angles(
            cosine=cosine,
            target=target,
            label=label,
            norm=torch.full_like(target, norm),
            length=cosine.new_ones(count),
            embedding=place,
            direction=place,
            prototype=unit(self.prototypes.to(cosine.dtype))[0],
            nearest=label * self.loss.subcentres,
            counted=torch.ones_like(label, dtype=torch.bool),
            memory=self.memory,
        )

    def end_epoch(self) -> None:
        """Say that an epoch is over."""
        with torch.no_grad():
            self.loss.at(self.step).end_epoch(self.memory)

    @wide
    def angles(self, embedding: Tensor, label: Tensor) -> Angles:
        """What the batch sees of the classes."""
        self._all_here()
        return self._table(embedding, label)

    def _all_here(self) -> None:
        if self.count < self.classes:
            raise ValueError(
                f"Only {self.count} of {self.classes} classes have their prototypes in this process, so no table of "
                "all can be made: call the head itself, or its gap or logits."
            )

    def _table(self, embedding: Tensor, label: Tensor) -> Angles:
        self._check(embedding, label)
        counted = label != self.ignore_index
        label = torch.where(counted, label, 0)
        embedding, direction, norm = self._directions(embedding)
        prototype, length = unit(self.prototypes.to(embedding.dtype))
        cosine, nearest = direction @ prototype.T, label
        if (k := self.loss.subcentres) > 1:
            cosine, which = cosine.unflatten(1, (self.count, k)).max(2)
            nearest = label * k + which.gather(1, label[:, None]).squeeze(1)
            length = torch.ones_like(length[::k])
        target = cosine.gather(1, label[:, None]).squeeze(1)
        draws = {"seed": self.seed, "step": self.step} if self.training else {}
        return Angles(
            cosine, target, label, norm, length, embedding, direction, prototype, nearest, counted, self.memory, **draws
        )

    def _directions(self, embedding: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The embeddings in the precision of all that follows, their directions and their lengths."""
        embedding, floor = self._widened(embedding)
        return embedding, *unit(embedding, floor)

    def _widened(self, embedding: Tensor) -> tuple[Tensor, float]:
        """The embeddings in the precision of all that follows, and the length up to which one has no direction."""
        # Shorter than this a gradient would not fit the embedding's own type (it is the push divided by the length).
        floor = 1e-2 if embedding.dtype == torch.float16 else 1e-12
        wide = torch.promote_types(torch.promote_types(embedding.dtype, self.prototypes.dtype), torch.float32)
        return embedding.to(wide), floor

    def _check(self, embedding: Tensor, label: Tensor) -> None:
        if embedding.ndim != 2 or embedding.shape[1] != self.dim or not embedding.is_floating_point():
            shape = f"{embedding.dtype} {list(embedding.shape)}"
            raise ValueError(f"Embeddings must be floating point [batch, {self.dim}]; these are {shape}.")
        if label.dtype != torch.long or label.shape != embedding.shape[:1]:
            shape = f"{label.dtype} {list(label.shape)}"
            raise ValueError(f"Labels must be int64 [{len(embedding)}], one per embedding; these are {shape}.")
        if torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active() or not len(label):
            return  # what follows looks at values, which there are none of yet
        known = (label >= 0) & (label < self.classes) | (label == self.ignore_index)
        sentence = f"Labels must run from 0 to {self.classes - 1} (or be {self.ignore_index}: ignored)"
        if label.device.type == "cuda":
            # Reading the answer would stop the device at every step; so it complains itself, and later. Embeddings
            # that are not finite show in their own losses there.
            torch._assert_async(known.all(), sentence)
        elif label.device.type == "cpu":
            if not known.all():
                raise ValueError(f"{sentence}; these run from {int(label.min())} to {int(label.max())}.")
            if not embedding.isfinite().all():
                bad = (~embedding.isfinite().all(1)).nonzero().flatten()
                raise FloatingPointError(
                    f"Embeddings must be finite numbers; {len(bad)} of {len(label)} are not, the first at position "
                    f"{int(bad[0])}: look at the network or the step size before it."
                )

    def _pieces(self, embedding: Tensor, label: Tensor) -> tuple[Angles, Batch]:
        """What the batch of all processes sees of classes in pieces."""
        sizes = self._sizes(embedding, label)
        update = self.update if self.training else None
        batch = Batch(
            self.division, self.products, self.loss.subcentres, sizes, update, getattr(self, "velocity", None)
        )
        label = batch.gathered(label)
        counted = label != self.ignore_index
        if self.training and self.sample_rate < 1:
            wanted = torch.where(counted, label, -1)
            batch.chosen = self.division.sample(wanted, self.sample_rate, self.seed, self.step)
        label = torch.where(counted, label, 0)
        draws = {"seed": self.seed, "step": self.step} if self.training else {}
        wide, floor = self._widened(embedding)
        a = batch.see(wide, floor, label, counted, self.prototypes, self.memory, self.loss.weighs_length, **draws)
        return a, batch

    def _sizes(self, embedding: Tensor, label: Tensor) -> list[int]:
        """How many samples each process has. What `_check` finds in one of them is raised in all."""
        problem = None
        try:
            self._check(embedding, label)
        except (ValueError, FloatingPointError) as found:
            problem = found
        return self.division.processes.agree(len(embedding), problem, embedding.device)

    def extra_repr(self) -> str:
        here = f", here={self.first}..{self.first + self.count - 1}" if self.count < self.classes else ""
        return f"{self.loss}, dim={self.dim}, classes={self.classes}{here}"


class PrototypeHead(Head):
    """A head for losses that compare a sample with the classes: `prototypes` [C, d] is learned.

    `head(embedding, label)`: losses [b] (float32, float64 if the embedding is) for embeddings [b, d] and labels [b],
    int64 in [0, C). Raises ValueError for wrong shapes, types and labels, FloatingPointError for embeddings that are
    not finite (on an accelerator neither is looked at, for that would stop it: bad labels assert there, and a bad
    embedding gives a bad loss).

    **Many classes.** Of more than a thousand no table [b, C] is ever held, in neither direction: losses and
    gradients are the same, worked out for `tile` classes at a time. With `group` the classes are divided over its
    processes, and `prototypes` are those of the classes `first` to `first + count` alone. Every process calls the
    head with its own samples, whose losses it gets, and takes their mean; what a loss asks of a batch (statistics,
    random margins) it asks of all processes' samples together. The gradient of an embedding is that of the
    process's own mean; that of the prototypes is summed over processes and divided by their number, as
    DistributedDataParallel does for the network before. On a CPU processes may have batches of different length,
    and an error in one is raised in all; on an accelerator batches must be equal.
    """

    def __init__(
        self,
        loss: Loss,
        dim: int,
        classes: int,
        *,
        seed: int | None = None,
        ignore_index: int = -100,
        tile: int | str | None = "auto",
        group: ProcessGroup | None = None,
        sample_rate: float = 1.0,
        products: torch.dtype | None = None,
        update: FoldedSGD | None = None,
    ) -> None:
        """
        Args:
            loss, dim, classes, seed, ignore_index: as in `Head`; in a group the same for all, and without a seed that
                of its first process.
            tile: classes at a time; "auto": as many as suit the device, and few in one table; None: all in one table,
                as torch.func, second derivatives and a loss of your own may need it that looks at such a table.
            group: processes to divide the classes over; None: alone.
            sample_rate: below 1 a step in training looks at the classes of its samples, and of the others only at so
                many at random that it is this share of all (Partial FC, arXiv:2203.15565). An approximation: the sum
                over the others is smaller, and only the prototypes that were looked at get a gradient.
            products: torch.bfloat16 or torch.float16 to round what goes into products of matrices; what comes out of
                them, and everything after, is float32.
            update: makes a step with the prototypes in the backward pass; see `FoldedSGD`.
        """
        if not 0 < sample_rate <= 1:
            raise ValueError(f"sample_rate is {sample_rate:g}, but it must be above 0 and at most 1.")
        if products not in (None, torch.bfloat16, torch.float16):
            raise ValueError(f"products is {products}, but it must be torch.bfloat16, torch.float16 or None.")
        processes = Processes(group)
        if not processes.alone:
            seed = agreed(processes, (type(loss).__name__, dim, classes), seed)
        if tile == "auto" and classes <= FEW:
            tile = None
        divided = (tile, group, products, update) != (None,) * 4 or sample_rate < 1
        self.division = Division(classes, processes, tile) if divided else None
        super().__init__(loss, dim, classes, seed=seed, ignore_index=ignore_index)
        self.sample_rate, self.products, self.update = sample_rate, Products(products), update
        if update is not None:
            self.register_buffer("velocity", torch.zeros_like(self.prototypes))

    def _own(self, first: Tensor) -> None:
        self.prototypes = nn.Parameter(first)

    @wide
    def forward(self, embedding: Tensor, label: Tensor) -> Tensor:
        if self.division is None:
            return self._judged(self.angles(embedding, label))
        return uncompiled(self._divided)(embedding, label)

    def _divided(self, embedding: Tensor, label: Tensor) -> Tensor:
        if torch._C._are_functorch_transforms_active():
            raise ValueError("torch.func does not go through classes in tiles: make the head with tile=None.")
        a, batch = self._pieces(embedding, label)
        return batch.own(self._judged(a, batch))

    def _judged(self, a: Angles, batch: Batch | None = None) -> Tensor:
        loss = self.loss.at(self.step)
        if self.training:
            with torch.no_grad():
                loss.observe(a)
        value = torch.where(a.counted, loss(batch.remembering(a) if batch else a), 0)
        if self.training:
            with torch.no_grad():
                loss.remember(a)
                # A new tensor: a compiled gradient may draw its margins again, from the step as it was.
                self.step = self.step + 1
        return value


def agreed(processes: Processes, mine: tuple, seed: int | None) -> int:
    """The seed of the first process, if all are about to make the same head."""
    drawn = int(torch.randint(2**32, ())) if seed is None else seed
    said = everyones([mine, seed, drawn], processes.group)
    if any(each[:2] != said[0][:2] for each in said):
        heads = "; ".join(
            f"{loss} of {classes} classes in {dim} dimensions, seed {s}" for (loss, dim, classes), s, _ in said
        )
        raise ValueError(f"All processes must make the same head; these differ: {heads}.")
    return said[0][2]


class PairHead(Head):
    """A head for losses that compare samples with one another, such as `Triplet()`. Nothing in it is learned:
    `prototypes` [C, d] follow the mean direction of each class, to be looked at and ranked by.

    `head(embedding, label)`: losses [b], each sample as an anchor; 0 for one without the pairs that the loss needs.
    Errors as in `PrototypeHead`.

    **Many processes.** With `group` every process calls the head with its own samples and gets their losses, each
    compared with the samples of all; cosines [b, B] are held, B of all processes together. The classes are divided as
    in `PrototypeHead`. The gradient of an embedding is that of the sum of all processes' means, for it is in the pairs
    of every process: DistributedDataParallel, which divides by their number, makes it that of their mean.
    """

    FOLLOW = 0.1  # how far a prototype moves towards the mean of its class in a batch
    UNSEEN = 1e-3  # length of the prototype of a class that no batch had yet; later it is about 1

    def __init__(
        self,
        loss: Loss,
        dim: int,
        classes: int,
        *,
        seed: int | None = None,
        ignore_index: int = -100,
        group: ProcessGroup | None = None,
    ) -> None:
        """
        Args:
            loss, dim, classes, seed, ignore_index: as in `Head`; in a group the same for all, and without a seed that
                of its first process.
            group: processes whose samples are compared, and to divide the classes over; None: alone.
        """
        processes = Processes(group)
        if not processes.alone:
            seed = agreed(processes, (type(loss).__name__, dim, classes), seed)
            self.division = Division(classes, processes)
        super().__init__(loss, dim, classes, seed=seed, ignore_index=ignore_index)

    def _own(self, first: Tensor) -> None:
        self.register_buffer("prototypes", self.UNSEEN * unit(first)[0])

    @wide
    def forward(self, embedding: Tensor, label: Tensor) -> Tensor:
        if self.division is None:
            self._check(embedding, label)
            _, direction, _ = self._directions(embedding)
            return self._compared(direction, label, direction, label, 0)
        return uncompiled(self._among_all)(embedding, label)

    def _among_all(self, embedding: Tensor, label: Tensor) -> Tensor:
        sizes, processes = self._sizes(embedding, label), self.division.processes
        _, direction, _ = self._directions(embedding)
        _, others = Gathered.apply(direction, processes, sizes)
        return self._compared(direction, label, others, processes.gather(label, sizes), sum(sizes[: processes.rank]))

    def _compared(self, direction: Tensor, label: Tensor, others: Tensor, theirs: Tensor, first: int) -> Tensor:
        """Losses [b] of anchors, which are the samples from `first` on among the B that they are compared with."""
        counted, counts = label != self.ignore_index, theirs != self.ignore_index
        sample = torch.arange(len(theirs), device=label.device)
        itself = sample == sample[first : first + len(label), None]
        both, alike = counted[:, None] & counts, label[:, None] == theirs
        pairs = Pairs(direction @ others.T, same=alike & both & ~itself, other=~alike & both)
        value = self.loss.at(self.step).pairs(pairs)
        if self.training:
            with torch.no_grad():
                self._follow(others, torch.where(counts, theirs, 0), counts)
                self.step = self.step + 1
        return torch.where(counted, value, 0)

    def _follow(self, direction: Tensor, label: Tensor, counted: Tensor) -> None:
        """Only the rows of classes that are in the batch are looked at: there may be millions of others."""
        ordered, position = label.sort()
        # Samples of one class share a slot; slots that are left over stay at zero.
        slot = torch.diff(ordered, prepend=ordered[:1]).ne(0).cumsum(0)
        direction = (direction.to(self.prototypes.dtype) * counted[:, None])[position]
        sums = torch.zeros_like(direction).index_add(0, slot, direction)
        whose = torch.zeros_like(label).scatter(0, slot, ordered)
        mean, length = unit(sums)
        present = length > 0
        if self.division is not None:
            whose, here = self.division.place(whose)
            present = present & here
        now = self.prototypes[whose]
        # At first sight it is all the data's: what it was before is noise.
        unseen = torch.linalg.vector_norm(now, dim=1, keepdim=True) < 2 * self.UNSEEN
        push = (mean - now) * torch.where(unseen, 1, self.FOLLOW).to(now.dtype)
        self.prototypes.index_add_(0, whose, torch.where(present[:, None], push, 0))


def head_for(loss: Loss) -> type[Head]:
    """The kind of head that a loss needs."""
    return PairHead if isinstance(loss, PairLoss) else PrototypeHead
