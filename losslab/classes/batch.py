"""One batch: from embeddings and labels to what a loss sees of divided classes."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from losslab.geometry import unit
from losslab.losses import Memory

from .division import KEPT, Division, Piece
from .processes import Gathered, Joined, Kept, Shared
from .products import Products
from .tables import FoldedSGD, Picked, Table, entered
from .tiles import Divided, read


class Batch:
    """What the tiles of one batch have in common.

    `embedding`, `direction` and `facing` (the own prototype, [b d]) are this process's *part*: used with its classes
    only, zero where the own class is another's.
    """

    def __init__(
        self,
        division: Division,
        products: Products,
        each: int,
        sizes: list[int],
        update: FoldedSGD | None = None,
        velocity: Tensor | None = None,
    ) -> None:
        self.division, self.processes, self.products = division, division.processes, products
        self.each, self.sizes, self.update, self.velocity = each, sizes, update, velocity
        self.chosen: Tensor | None = None
        # Of pieces, by where they start: which prototypes have their lengths worked out, and cosines if all have room.
        self.measured: set[int] = set()
        self.kept: dict[tuple[str, int], Tensor] = {}

    def gathered(self, label: Tensor) -> Tensor:
        return self.processes.gather(label, self.sizes)

    def see(
        self,
        embedding: Tensor,
        floor: float,
        label: Tensor,
        counted: Tensor,
        prototypes: nn.Parameter,
        memory: Memory,
        weighs_length: bool,
        **draws: Any,
    ) -> Divided:
        """What a loss sees. `embedding` [b d] is this process's own, labels and what counts [B] are those of all."""
        self.size, self.dtype, self.device = len(label), embedding.dtype, embedding.device
        classes = self.division.count if self.chosen is None else len(self.chosen)
        keeps = torch.is_grad_enabled() and self.division.keeps(self.size * classes * self.each)
        self.room = KEPT if keeps else 0
        # One tensor: a small one for each tile, among the large ones, keeps an allocator from using their room again.
        self.lengths = embedding.new_empty(classes * self.each, requires_grad=False)
        common = self.embedding = embedding
        if not self.processes.alone:
            common, self.embedding = Gathered.apply(embedding, self.processes, self.sizes)
        direction, norm = unit(common, floor)
        self.direction = direction if self.processes.alone else unit(self.embedding, floor)[0]
        self.ready = self.products.ready(self.direction.detach())

        share = 1 / self.processes.size
        self.prototypes = Table(prototypes, self.each, share, self.update, self.velocity)
        self.tables = {id(prototypes): self.prototypes}
        self.tables |= {id(each): Table(each, 1, share) for each in memory.parameters() if each.ndim}
        learned = {id(each): each for each in (prototypes, *memory.parameters())}
        self.tokens = {key: entered(learned[key], table) for key, table in self.tables.items()}
        self.learned = self.tokens[id(prototypes)].requires_grad

        self.place = self.division.place(label)
        target, stretch = self.towards_own(self.tokens[id(prototypes)])
        if self.processes.alone or weighs_length:
            target, stretch = self.joined(torch.stack([target, stretch]))
            self._own_length = draws["stretch"] = stretch
        else:
            target = self.joined(target)
        self.stretch = stretch
        return Divided(
            self,
            target=target,
            label=label,
            norm=norm,
            embedding=common,
            direction=direction,
            counted=counted,
            memory=memory,
            **draws,
        )

    def towards_own(self, token: Tensor) -> tuple[Tensor, Tensor]:
        """This process's part of the cosines to the own prototypes and of the lengths of those, [b] each."""
        place, here = self.place
        rows = place[:, None] * self.each + torch.arange(self.each, device=self.device)
        picked = Picked.apply(token, self.prototypes, rows.flatten()).to(self.dtype)
        own, length = unit(picked.view(self.size, self.each, -1))
        cosine, which = (self.direction[:, None] * own).sum(2).max(1)
        own = own.gather(1, which[:, None, None].expand(-1, 1, own.shape[2])).squeeze(1)
        self.facing = torch.where(here[:, None], own, 0)
        length = length[:, 0] if self.each == 1 else torch.ones_like(cosine)
        return torch.where(here, cosine, 0), torch.where(here, length, 0)

    @property
    def faced(self) -> Tensor:
        """The own prototypes [B d] of all samples, `ready` for products."""
        if not hasattr(self, "_faced"):
            self._faced = self.products.ready(self.processes.sum(self.facing.detach()))
        return self._faced

    @property
    def own_length(self) -> Tensor:
        """The lengths of the own prototypes [B] of all samples."""
        if not hasattr(self, "_own_length"):
            self._own_length = self.joined(self.stretch)
        return self._own_length

    def joined(self, part: Tensor) -> Tensor:
        return part if self.processes.alone else Joined.apply(part, self.processes)

    def own(self, value: Tensor) -> Tensor:
        """This process's samples of [B]."""
        return value if self.processes.alone else Kept.apply(value, self.processes, self.sizes)

    def remembering(self, a: Divided) -> Divided:
        """The same, for a formula to read the memory in: as it is now, with the gradients of all processes."""
        return a.but(memory=read(a.memory, self.shared))

    def shared(self, value: Tensor) -> Tensor:
        """A value of the memory as all processes have it."""
        if self.processes.alone or value.ndim or not value.requires_grad:
            return value
        return Shared.apply(value, self.processes)

    def pieces(self) -> Iterator[Piece]:
        return self.division.pieces(self.size, self.device, self.chosen)
