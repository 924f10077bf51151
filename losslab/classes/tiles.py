"""What a loss sees of one tile of classes, and reductions over all of them.

A reduction keeps one number per sample. Its backward works every tile out again, lets autograd go through the loss's
own curve there, and does the products by hand, straight into the gradients. So the memory is that of one tile, and no
loss needs a second text.
"""

import weakref
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from losslab.geometry import unit
from losslab.losses import Angles

from .division import Piece
from .processes import Joined
from .tables import Picked

WHOLE = (
    "This loss looks at a table of all classes at once, which there is none of with tiles or processes. Let it hand "
    "what it works out from `{}` to `a.logsumexp`, `a.sum` or `a.amax`, or make the head with tile=None."
)


class Numbers:
    """A memory as a formula reads it: its values by name, and a wrapped loss's as `base`."""

    base: "Numbers"


def read(memory: nn.Module | Numbers, change: Callable[[Tensor], Tensor]) -> Numbers:
    """The values of a memory as they are now, each as `change` makes it."""
    found = Numbers()
    inside = memory._parameters | memory._buffers if isinstance(memory, nn.Module) else vars(memory)
    for name, value in inside.items():
        if isinstance(value, Tensor):
            setattr(found, name, change(value))
    if (base := getattr(memory, "base", None)) is not None:
        found.base = read(base, change)
    return found


def values(memory: nn.Module | Numbers) -> list[Tensor]:
    """All values of a memory."""
    found: list[Tensor] = []
    read(memory, lambda value: found.append(value) or value)
    return found


class Divided(Angles):
    """`Angles` of the whole batch (that of all processes) with the classes in pieces: no table of cosines, but all
    reductions."""

    def __init__(self, batch: Any, **fields: Any) -> None:
        self.__dict__.update(fields, batch=batch)

    def __getattr__(self, name: str) -> Any:
        if name in ("cosine", "length", "prototype", "nearest"):
            raise AttributeError(WHOLE.format(f"a.{name}"))
        raise AttributeError(f"There is no {name!r} in what a loss sees.")

    def but(self, **changes: Any) -> "Divided":
        same = object.__new__(type(self))
        same.__dict__.update(self.__dict__, **changes)
        return same

    @property
    def classes(self) -> int:
        return self.batch.division.classes

    @property
    def own(self) -> Tensor:
        raise AttributeError(WHOLE.format("a.own"))

    def between(self) -> Tensor:
        raise AttributeError(WHOLE.format("a.between()"))

    @property
    def own_length(self) -> Tensor:
        return self.batch.own_length

    def logsumexp(self, curve: Callable[..., Tensor], *more: Any) -> Tensor:
        return reduced(self, LogSumExp(), curve, more)

    def sum(self, curve: Callable[..., Tensor], *more: Any) -> Tensor:
        return reduced(self, Sum(), curve, more)

    def amax(self, curve: Callable[..., Tensor], *more: Any) -> Tensor:
        return reduced(self, Largest(), curve, more)

    def at_own(self, rows: Tensor) -> Tensor:
        batch = self.batch
        place, here = batch.place
        if (table := batch.tables.get(id(rows))) is not None:
            found = Picked.apply(batch.tokens[id(rows)], table, place)
        else:
            found = rows[place]
        if batch.processes.alone:
            return found
        there = here.view(-1, *[1] * (found.ndim - 1))
        part = torch.where(there, found, 0)
        # Truth values cannot be added up.
        return Joined.apply(part.byte(), batch.processes).bool() if part.dtype == torch.bool else batch.joined(part)

    def add(self, rows: Tensor, value: Tensor) -> Tensor:
        place, here = self.batch.place
        return rows.index_add_(0, place, torch.where(here.view(-1, *[1] * (value.ndim - 1)), value, 0))

    def by_class(self, value: Tensor) -> Tensor:
        return self.add(value.new_zeros(self.batch.division.count, *value.shape[1:]), value)

    def last(self) -> Tensor:
        place, here = self.batch.place
        position = torch.arange(1, len(place) + 1, device=place.device)
        position = torch.where(self.counted & here, position, 0)
        return position.new_zeros(self.batch.division.count).scatter_reduce(0, place, position, "amax") - 1

    def total(self, rows: Tensor) -> Tensor:
        return self.batch.processes.sum(rows.sum(0))


class Tile(Angles):
    """`Angles` of the whole batch towards the classes of one piece."""

    def __init__(self, look: "Look", **fields: Any) -> None:
        self.__dict__.update(fields, look=look)

    def __getattr__(self, name: str) -> Any:
        if name in ("cosine", "length", "prototype"):
            return getattr(self.look, name)
        raise AttributeError(f"There is no {name!r} in a tile of classes.")

    def but(self, **changes: Any) -> "Tile":
        same = object.__new__(type(self))
        same.__dict__.update(self.__dict__, **changes)
        return same

    @property
    def classes(self) -> int:
        return self.look.batch.division.classes

    @property
    def own(self) -> Tensor:
        return self.label[:, None] == self.look.piece.ids(self.label.device)

    @property
    def own_length(self) -> Tensor:
        return self.stretch if "stretch" in self.__dict__ else self.look.batch.own_length.detach()

    def between(self) -> Tensor:
        return self.look.between()


class Look:
    """The products of a batch with the prototypes of a piece, each made when it is first asked for.

    With `follow` they are leaves, so that autograd brings the gradient of each, and `pull` takes it on from there.
    """

    def __init__(self, batch: Any, piece: Piece, follow: bool) -> None:
        self.batch, self.piece, self.follow = batch, piece, follow
        self.leaves: dict[str, Tensor] = {}
        self.sides: dict[str, Tensor] = {}  # what was multiplied with them, [b d]
        self.rows: Tensor | None = None

    def leaf(self, name: str, value: Tensor) -> Tensor:
        self.leaves[name] = value.requires_grad_() if self.follow else value
        return self.leaves[name]

    @torch.no_grad()
    def unit(self) -> tuple[Tensor, Tensor]:
        if self.rows is None:
            batch, start = self.batch, self.piece.start
            rows = batch.prototypes.rows[self.piece.index(batch.each)].to(batch.dtype)
            self.lengths = batch.lengths[start * batch.each : self.piece.stop * batch.each]
            if start not in batch.measured:
                batch.measured.add(start)
                self.lengths.copy_(lengths(rows))
            self.rows = directions(rows, self.lengths)
            self.ready = self.batch.products.ready(self.rows)
        return self.rows, self.lengths

    def product(self, name: str, side: Tensor) -> Tensor:
        """[b c] cosines of directions to the classes of the piece, the largest over the K prototypes of each."""
        if name not in self.leaves:
            self.unit()
            self.sides[name] = side
            place, kept = (name, self.piece.start), self.batch.kept
            with torch.no_grad():
                cosine = kept[place].detach() if place in kept else self.batch.products.times(side, self.ready)
            if self.follow:
                kept.pop(place, None)  # seldom needed again, and then it is worked out
            elif place not in kept and self.batch.room >= cosine.numel():
                kept[place] = cosine
                self.batch.room -= cosine.numel()
            self.leaf(name, cosine)
        cosine, each = self.leaves[name], self.batch.each
        return cosine if each == 1 else cosine.unflatten(1, (len(self.piece), each)).amax(2)

    @property
    def cosine(self) -> Tensor:
        return self.product("cosine", self.batch.ready)

    def between(self) -> Tensor:
        return self.product("between", self.batch.faced)

    @property
    def length(self) -> Tensor:
        if "length" not in self.leaves:
            _, length = self.unit()
            self.leaf("length", length.clone() if self.batch.each == 1 else torch.ones_like(length[:: self.batch.each]))
        return self.leaves["length"]

    @property
    def prototype(self) -> Tensor:
        if "prototype" not in self.leaves:
            self.leaf("prototype", self.unit()[0].clone())
        return self.leaves["prototype"]

    def pull(self, gradients: dict[str, Tensor | None], into: dict[Any, Tensor], rows: bool) -> Tensor | None:
        """From the gradients of the leaves to those of the directions (added to `into`) and of the prototypes."""
        found = gradients.get("prototype")
        found = None if found is None else found.clone()  # it is added to, and need not be ours
        for name, side in (("cosine", DIRECTION), ("between", FACING)):
            if (gradient := gradients.get(name)) is None:
                continue
            products = self.batch.products
            gradient, size = products.small(gradient)
            if self.batch.embedding.requires_grad if name == "cosine" else self.batch.facing.requires_grad:
                part = products.times(gradient, self.ready.T, size)
                into[side] = into[side].add_(part) if side in into else part
            if rows:
                part = products.times(gradient.T, self.sides[name].T, size)
                found = part if found is None else found.add_(part)
        stretch = gradients.get("length")
        if not rows or (found is None and stretch is None):
            return None
        pulled = torch.zeros_like(self.rows) if found is None else across(found, self.rows, self.lengths)
        if stretch is not None and self.batch.each == 1:
            pulled.addcmul_(self.rows, stretch[:, None])
        return pulled


FLOOR = 1e-12  # a row not longer than this has no direction


def lengths(rows: Tensor) -> Tensor:
    """Lengths [c] of rows."""
    if rows.dtype != torch.float32 or rows.device.type == "mps":
        return unit(rows)[1]
    if rows.device.type == "cpu":
        length = torch.linalg.vector_norm(rows, dim=-1)
        # Squares may have overflowed or underflowed; to look costs nothing here, and would stop an accelerator.
        return length if bool(((length > 1e-15) & (length < 1e15)).all()) else unit(rows)[1]
    # Squares of float32 do neither in float64.
    return torch.linalg.vector_norm(rows, dim=-1, dtype=torch.float64).float()


def directions(rows: Tensor, length: Tensor) -> Tensor:
    """`unit` of rows of a known length."""
    return rows / torch.where(length <= FLOOR, torch.inf, length)[:, None]


def across(gradient: Tensor, direction: Tensor, length: Tensor) -> Tensor:
    """From the gradient of a direction, changed, to that of the row: the part across, divided by the length."""
    gradient.addcmul_(direction, torch.linalg.vecdot(gradient, direction)[:, None], value=-1)
    return gradient.div_(torch.where(length <= FLOOR, torch.inf, length)[:, None])


# -- reductions ------------------------------------------------------------------------------------------
# Each keeps what it has after some tiles, joins it over processes, and says what the gradient of its value is for the
# curve. `own` is in which column a sample's own class is, and whether it is in one: that column is left out.


def without(z: Tensor, own: tuple[Tensor, Tensor], fill: float) -> Tensor:
    """`z` [b c], changed, with `fill` at the own class: b numbers written and not b·c looked at."""
    column, inside = own
    return z.scatter_(1, column, torch.where(inside, fill, z.gather(1, column)))


class LogSumExp:
    top: Tensor | None = None

    def take(self, z: Tensor, own: tuple[Tensor, Tensor], piece: Piece) -> None:
        z = without(z, own, torch.finfo(z.dtype).min)
        top = z.amax(1)
        if self.top is not None:
            top = torch.maximum(self.top, top)
            self.sum *= (self.top - top).exp_()
        part = z.sub_(top[:, None]).exp_().sum(1)
        self.top, self.sum = top, part if self.top is None else self.sum + part

    def value(self, processes: Any) -> Tensor:
        top = processes.max(self.top)
        sum = processes.sum(self.sum * (self.top - top).exp())
        self.result = top + sum.log()
        self.top = self.sum = None
        return self.result.clone()

    def pull(self, gradient: Tensor, z: Tensor, own: tuple[Tensor, Tensor], piece: Piece) -> Tensor:
        share = z.sub(self.result[:, None]).exp_().mul_(gradient[:, None])
        return without(share, own, 0)


class Sum:
    total: Tensor | None = None

    def take(self, z: Tensor, own: tuple[Tensor, Tensor], piece: Piece) -> None:
        part = without(z, own, 0).sum(1)
        self.total = part if self.total is None else self.total + part

    def value(self, processes: Any) -> Tensor:
        found, self.total = self.total, None
        return processes.sum(found)

    def pull(self, gradient: Tensor, z: Tensor, own: tuple[Tensor, Tensor], piece: Piece) -> Tensor:
        return without(gradient[:, None].repeat(1, z.shape[1]), own, 0)


class Largest:
    top: Tensor | None = None

    def take(self, z: Tensor, own: tuple[Tensor, Tensor], piece: Piece) -> None:
        top, column = without(z, own, torch.finfo(z.dtype).min).max(1)
        which = piece.ids(z.device)[column]
        if self.top is None:
            self.top, self.which = top, which
        else:
            more = top > self.top
            self.top, self.which = torch.where(more, top, self.top), torch.where(more, which, self.which)

    def value(self, processes: Any) -> Tensor:
        top = processes.max(self.top)
        if not processes.alone:
            # Of equal ones the first, whoever has it.
            self.which = processes.min(torch.where(self.top == top, self.which, torch.iinfo(torch.long).max))
        self.top = None
        return top.clone()

    def pull(self, gradient: Tensor, z: Tensor, own: tuple[Tensor, Tensor], piece: Piece) -> Tensor:
        column, inside = piece.find(self.which)
        share = torch.zeros_like(z).scatter_(1, column, torch.where(inside, gradient[:, None], 0))
        return without(share, own, 0)


class Sweep:
    """One reduction of a curve over all pieces of a step."""

    def __init__(self, a: Divided, how: Any, curve: Callable[..., Tensor], more: tuple) -> None:
        self.batch, self.how, self.curve, self.more = a.batch, how, curve, more
        fields = {name: value for name, value in vars(a).items() if name not in ("memory", "batch")}
        fields |= {"embedding": self.batch.embedding, "direction": self.batch.direction}
        # As it is now: a memory may have other values when the backward comes.
        self.memory = None if a.memory is None else read(a.memory, lambda value: value)
        learned = values(self.memory) if self.memory else []
        inputs = {("field", name): value for name, value in fields.items()}
        inputs |= {("facing", ""): self.batch.facing}
        inputs |= {("more", i): value for i, value in enumerate(more)}
        inputs |= {("memory", id(value)): value for value in learned if not value.ndim}
        self.inputs = {key: value for key, value in inputs.items() if isinstance(value, Tensor) and value.requires_grad}
        self.fields = {name: still(value) for name, value in fields.items()}
        self.gradient: Tensor | None = None

    def pieces(self) -> Iterator[Piece]:
        return self.batch.pieces()

    def curved(self, piece: Piece, leaves: dict | None = None) -> tuple[Tensor, Look, dict[int, Tensor]]:
        """The curve [b c] of a piece. With `leaves` its gradient can be asked for: for them, for the leaves of the
        look, and for the learned rows of the memory, by the identity of their table's tensor."""
        look, rows, given = Look(self.batch, piece, leaves is not None), {}, leaves or {}

        def value(tensor: Tensor) -> Tensor:
            if not tensor.ndim:
                return given.get(("memory", id(tensor)), tensor.detach())
            if id(tensor) not in rows:
                part = tensor.detach()[piece.index()]
                learned = leaves is not None and id(tensor) in self.batch.tables
                rows[id(tensor)] = part.requires_grad_() if learned else part
            return rows[id(tensor)]

        fields = {name: given.get(("field", name), value) for name, value in self.fields.items()}
        more = [given.get(("more", i), still(value)) for i, value in enumerate(self.more)]
        memory = None if self.memory is None else read(self.memory, value)
        z = self.curve(Tile(look, **fields, memory=memory), *more)
        shape = (len(self.fields["label"]), len(piece))
        return z if z.shape == shape else z.expand(shape), look, rows

    @torch.no_grad()
    def forward(self) -> Tensor:
        for piece in self.pieces():
            z, look, _ = self.curved(piece)
            # It is written into, and so must be neither kept nor what the rows of a memory are seen through.
            if z._is_view() or not z.is_contiguous() or any(z is each for each in look.leaves.values()):
                z = z.clone(memory_format=torch.contiguous_format)
            self.how.take(z, piece.find(self.fields["label"]), piece)
        if look.rows is not None:
            self.batch.prototypes.sweeps.append(weakref.ref(self))
        return self.how.value(self.batch.processes)

    def pulled(
        self, piece: Piece, gradient: Tensor, leaves: dict, into: dict, wanted: bool
    ) -> tuple[Tensor | None, dict[int, Tensor]]:
        """What the gradient of the value [b] is for what a piece was worked out from: added to `into` for what the
        samples are, and returned for its prototypes, if wanted, and for the learned rows of the memory."""
        with torch.enable_grad():
            z, look, rows = self.curved(piece, leaves)
        if not z.requires_grad:
            return None, {}
        share = self.how.pull(gradient, z.detach(), piece.find(self.fields["label"]), piece)
        rows = {key: value for key, value in rows.items() if value.requires_grad}
        asked = [*leaves.values(), *look.leaves.values(), *rows.values()]
        found = iter(torch.autograd.grad(z, asked, share, allow_unused=True))
        for key in leaves:
            if (part := next(found)) is not None:
                into[key] = into[key].add_(part) if key in into else part.clone()
        of_prototypes = look.pull({name: next(found) for name in look.leaves}, into, wanted)
        return of_prototypes, {key: part for key in rows if (part := next(found)) is not None}

    def backward(self, gradient: Tensor) -> list[Tensor | None]:
        leaves = {key: value.detach().requires_grad_() for key, value in self.inputs.items()}
        into: dict[Any, Tensor] = {}
        table = self.batch.prototypes
        self.gradient = gradient
        wanted = self.batch.learned and not table.waits
        for piece in self.pieces():
            of_prototypes, rows = self.pulled(piece, gradient, leaves, into, wanted)
            if of_prototypes is not None:
                table.add(piece, of_prototypes)
            for key, part in rows.items():
                self.batch.tables[key].add(piece, part)
        for each in self.batch.tables.values():
            each.swept()
        self.join(into)
        return [into.get(key) for key in self.inputs]

    def join(self, into: dict[Any, Tensor]) -> None:
        """Sum over processes the gradients of what is in common: of all but embeddings, which are summed last."""
        common = [key for key in into if key not in (EMBEDDING, DIRECTION)]
        if common and not self.batch.processes.alone:
            whole = self.batch.processes.sum(torch.cat([into[key].flatten() for key in common]))
            for key, part in zip(common, whole.split([into[key].numel() for key in common]), strict=True):
                into[key] = part.view_as(into[key])

    def rows(self, piece: Piece) -> Tensor | None:
        """The gradient of a piece's prototypes, by itself."""
        if self.gradient is None:
            return None
        with full_precision(self.gradient.device):
            return self.pulled(piece, self.gradient, {}, {}, True)[0]


EMBEDDING, DIRECTION, FACING = ("field", "embedding"), ("field", "direction"), ("facing", "")


def still(value: Any) -> Any:
    return value.detach() if isinstance(value, Tensor) else value


def full_precision(device: torch.device) -> Any:
    """Autocast off, also where a backward pass is made under it: it would round products to half."""
    if not torch.amp.is_autocast_available(device.type):
        return nullcontext()
    return torch.autocast(device.type, enabled=False)


class Reduced(Function):
    @staticmethod
    def forward(ctx: Any, sweep: Sweep, tokens: int, *inputs: Tensor) -> Tensor:
        ctx.sweep, ctx.tokens = sweep, tokens
        return sweep.forward()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple:
        with full_precision(gradient.device):
            found = ctx.sweep.backward(gradient)
        return None, None, *[gradient.new_zeros(())] * ctx.tokens, *found


def reduced(a: Divided, how: Any, curve: Callable[..., Tensor], more: tuple) -> Tensor:
    captured = [cell.cell_contents for cell in getattr(curve, "__closure__", None) or ()]
    if torch.is_grad_enabled() and any(isinstance(each, Tensor) and each.requires_grad for each in captured):
        raise ValueError(
            "A curve that is reduced over classes uses a tensor with a gradient from around it, which would be lost: "
            "hand it to the reduction, as in a.sum(curve, tensor), and let the curve take it."
        )
    sweep = Sweep(a, how, curve, more)
    tokens = list(a.batch.tokens.values())
    return Reduced.apply(sweep, len(tokens), *tokens, *sweep.inputs.values())
