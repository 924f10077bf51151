"""Classes in tiles: the same losses and gradients as all at once, for every loss, in the memory of a tile."""

import copy
from dataclasses import replace

import pytest
import torch
from cases import head, name, problem, with_prototypes
from test_head import NoCopies
from torch import Tensor, nn
from torch.nn import functional as F
from torch.profiler import ProfilerActivity, profile

from losslab import (
    ArcFace,
    CosFace,
    IntraLoss,
    NormFace,
    PairHead,
    PrototypeHead,
    RegularFace,
    Softmax,
    SubCenterArcFace,
    Triplet,
)
from losslab.classes import Division, FoldedSGD, Processes, drawn
from losslab.classes import division as dividing
from losslab.losses import Angles, Card, Loss, MarginLoss, SoftmaxLoss, UniFace

every = pytest.mark.parametrize("loss", with_prototypes(), ids=name)
defaults = pytest.mark.parametrize(
    "loss", [type(loss)() for loss in {type(x): x for x in with_prototypes()}.values()], ids=name
)


def like(plain: PrototypeHead, **options: object) -> PrototypeHead:
    """The same head with its classes divided."""
    made = PrototypeHead(plain.loss, plain.dim, plain.classes, seed=0, **options).to(plain.prototypes.dtype)
    made.load_state_dict(plain.state_dict() | {k: v for k, v in made.state_dict().items() if k == "velocity"})
    return made.train(plain.training)


def steps(made: PrototypeHead, x: Tensor, label: Tensor, weight: Tensor, number: int = 3) -> list[list[Tensor]]:
    """Losses, gradients and all that is kept, of some steps with an epoch's end among them."""
    seen = []
    for step in range(number):
        made.zero_grad()
        leaf = x.clone().requires_grad_()
        value = made(leaf, label)
        (value * weight).sum().backward()
        if step == 1:
            made.end_epoch()
        pushed = [torch.zeros_like(p) if p.grad is None else p.grad for p in made.parameters()]
        seen.append([value.detach(), leaf.grad, *pushed, *(kept.clone() for kept in made.state_dict().values())])
    return seen


def same(found: list, want: list, tolerance: float = 1e-12) -> None:
    for one, other in zip(found, want, strict=True):
        torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance)


def given(batch: int, classes: int, dim: int = 5) -> tuple[Tensor, ...]:
    x, label, w = problem(batch=batch, dim=dim, classes=classes)
    label[3] = -100
    return x, label, w, torch.rand(batch, dtype=x.dtype, generator=torch.Generator().manual_seed(1))


# -- tiles are as one ------------------------------------------------------------------------------------


@every
@pytest.mark.parametrize("classes, tiles", [(11, (1, 3)), (300, (37, 256, 300, "auto"))], ids=["11", "300"])
def test_tiles_are_as_one(loss, classes, tiles):
    """Losses, gradients of embeddings, prototypes and what is learned in the memory, and the state after each step."""
    x, label, w, weight = given(9, classes)
    plain = head(loss, w).train()
    divided = [like(plain, tile=tile) for tile in tiles]
    want = steps(plain, x, label, weight)
    for made in divided:
        same(steps(made, x, label, weight), want)
        same([made.eval().gap(x, label), made.logits(x)], [plain.eval().gap(x, label), plain.logits(x)])


def test_many_classes_are_in_tiles_unless_somebody_wants_the_table():
    heads = {classes: PrototypeHead(ArcFace(), 4, classes, seed=0) for classes in (1_000, 1_001)}
    assert heads[1_000].division is None and heads[1_001].division.tile == "auto"
    assert PrototypeHead(ArcFace(), 4, 1_001, tile=None).division is None
    x, label, w, weight = given(9, 1_001)
    plain = PrototypeHead(ArcFace(), 5, 1_001, seed=0, tile=None).double().train()
    made = like(plain)
    same(steps(made, x, label, weight), steps(plain, x, label, weight))


@defaults
def test_one_class_and_one_sample(loss):
    for classes, batch in ((1, 4), (5, 1)):
        x, label, w = problem(batch=batch, classes=classes)
        plain = head(loss, w).train()
        made = like(plain, tile=2)
        same(steps(made, x, label, torch.ones(batch)), steps(plain, x, label, torch.ones(batch)))


def test_extremes_are_finite_and_the_same():
    """Embeddings on their prototype, opposite, zero, tiny and huge, towards prototypes that are zero, tiny and huge."""
    w = torch.eye(6)
    w[3:] = torch.stack([torch.zeros(6), 1e-20 * torch.ones(6), 1e18 * torch.ones(6)])
    x = torch.stack([w[0], -w[0], 0 * w[0], 1e-20 * w[1], 1e18 * w[2], torch.ones(6)])
    label = torch.tensor([0, 0, 1, 2, 3, 5])
    for loss in (ArcFace(), CosFace(), IntraLoss()):
        plain = head(loss, w, dtype=torch.float32).train()
        made = like(plain, tile=4)
        found, want = (steps(each, x, label, torch.ones(6), number=1) for each in (made, plain))
        assert all(one.isfinite().all() for one in found[0])
        same(found, want, 1e-5)


@pytest.mark.parametrize("loss", [ArcFace(), Softmax(), UniFace(), RegularFace(), SubCenterArcFace()], ids=name)
def test_gradients_can_be_asked_for_one_by_one_and_twice(loss):
    x, label, w, _ = given(9, 20)
    plain = head(loss, w)
    made = like(plain, tile=7)
    leaf, other = x.clone().requires_grad_(), x.clone().requires_grad_()
    value, want = made(leaf, label).sum(), plain(other, label).sum()
    for asked, wanted in (
        ((leaf,), (other,)),
        ((leaf, made.prototypes), (other, plain.prototypes)),
        ((made.prototypes,), (plain.prototypes,)),
    ):
        same(torch.autograd.grad(value, asked, retain_graph=True), torch.autograd.grad(want, wanted, retain_graph=True))
    for _ in range(2):  # over two batches, gradients add up
        made(x, label).sum().backward()
        plain(x, label).sum().backward()
    same([made.prototypes.grad], [plain.prototypes.grad])
    made.prototypes.requires_grad_(False)
    same(torch.autograd.grad(made(leaf, label).sum(), leaf), torch.autograd.grad(plain(other, label).sum(), other))


class Twice(SoftmaxLoss):
    """Curves alone, of which the other classes' asks for the prototypes around the own one, with a gradient."""

    card = Card(*["-"] * 9)
    scale = 8.0

    def positive(self, a: Angles) -> Tensor:
        return a.target - 0.1

    def negative(self, a: Angles) -> Tensor:
        return a.cosine + 0.5 * a.between().square() + 0.1 * a.own_length[:, None] * a.length


def test_a_loss_of_curves_alone_needs_no_text_for_tiles():
    x, label, w, weight = given(9, 20)
    plain = head(Twice(), w).train()
    same(steps(like(plain, tile=6), x, label, weight), steps(plain, x, label, weight))


class Table(Loss):
    card = Card(*["-"] * 9)
    how = "table"

    def __call__(self, a: Angles) -> Tensor:
        if self.how == "table":
            return a.cosine.sum(1)
        norm = a.norm
        return a.sum(lambda t: norm[:, None] * t.cosine)


def test_what_would_go_wrong_in_tiles_is_said_in_a_sentence():
    x, label, w, _ = given(9, 20)
    made = like(head(Table(), w), tile=6)
    with pytest.raises(AttributeError, match=r"looks at a table of all classes at once.*`a.cosine` to `a.logsumexp`"):
        made(x, label)
    assert made.loss.how == "table" and len(like(head(Table(), w), tile=None)(x, label)) == 9
    Table.how = "captured"
    with pytest.raises(ValueError, match=r"uses a tensor with a gradient from around it.*hand it to the reduction"):
        made(x.requires_grad_(), label)


# -- memory ----------------------------------------------------------------------------------------------


def peak(run) -> int:
    """The most bytes that tensors made in `run` held at once."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        run()
    changes = [event for event in seen.profiler.kineto_results.events() if event.name() == "[memory]"]
    held = most = 0
    for event in sorted(changes, key=lambda event: event.start_ns()):
        held += event.nbytes()
        most = max(most, held)
    return most


@defaults
def test_no_table_of_all_classes_is_ever_held(loss):
    """In neither direction: a step takes the prototypes' gradient, some tiles, and a few numbers for each embedding."""
    batch, dim, classes, tile = 128, 4, 8192, 128
    x, label, _ = problem(batch=batch, dim=dim, classes=classes, dtype=torch.float32)
    made = PrototypeHead(loss, dim, classes, seed=0, tile=tile).train()
    made(x, label).mean().backward()
    made.zero_grad()
    took = peak(lambda: made(x.clone().requires_grad_(), label).mean().backward())
    table, rows = 4 * batch * classes, 4 * classes * (dim + 4) * loss.subcentres
    assert took < 4 * rows + 20 * 4 * batch * tile * loss.subcentres < 0.7 * table * loss.subcentres


def test_a_step_with_pairs_looks_only_at_the_classes_of_its_batch():
    batch, dim, classes = 32, 16, 100_000
    x, label, _ = problem(batch=batch, dim=dim, classes=classes, dtype=torch.float32)
    made = PairHead(Triplet(), dim, classes, seed=0).train()
    took = peak(lambda: made(x.clone().requires_grad_(), label % 5 * 7_000).mean().backward())
    assert took < 20 * 4 * batch * (batch + dim) < 0.1 * 4 * classes * dim


def test_memory_of_an_exact_step_is_the_gradient_and_little_else():
    batch, dim, classes = 64, 64, 20_000
    x, label, _ = problem(batch=batch, dim=dim, classes=classes, dtype=torch.float32)
    made = PrototypeHead(ArcFace(), dim, classes, seed=0, tile=256).train()
    took = peak(lambda: made(x.clone().requires_grad_(), label).mean().backward())
    assert took < 1.2 * 4 * classes * dim
    folded = PrototypeHead(ArcFace(), dim, classes, seed=0, tile=256, update=FoldedSGD(0.1)).train()
    took = peak(lambda: folded(x.clone().requires_grad_(), label).mean().backward())
    assert took < 0.2 * 4 * classes * dim


# -- the update in the backward pass ---------------------------------------------------------------------


@pytest.mark.parametrize("tile", [None, 7])
@pytest.mark.parametrize(
    "loss",
    [ArcFace(), Softmax(), RegularFace(), SubCenterArcFace(), MarginLoss(), IntraLoss(variant="ring", ring=0.0)],
    ids=name,
)
def test_an_update_in_the_backward_pass_is_the_optimisers(loss, tile):
    x, label, w, _ = given(9, 20)
    plain = head(loss, w).train()
    made = like(plain, tile=tile, update=FoldedSGD(0.1, momentum=0.9, weight_decay=0.01))
    sgd = torch.optim.SGD([plain.prototypes], 0.1, momentum=0.9, weight_decay=0.01)
    others = [torch.optim.SGD([*each.memory.parameters()] or [nn.Parameter(x)], 0.1) for each in (plain, made)]
    for rate in (0.1, 0.1, 0.02, 0.05):
        made.update.rate = sgd.param_groups[0]["lr"] = rate
        pushed = []
        for each in (plain, made):
            each.zero_grad()
            leaf = x.clone().requires_grad_()
            each(leaf, label).mean().backward()
            pushed.append(leaf.grad)
        assert made.prototypes.grad is None
        for each in (sgd, *others):
            each.step()
        same([pushed[1], made.prototypes.data], [pushed[0], plain.prototypes.data])
    before = made.prototypes.detach().clone()
    made.eval()(x.clone().requires_grad_(), label).mean().backward()
    assert torch.equal(made.prototypes, before) and made.prototypes.grad is not None  # a look is no step


def test_an_update_says_what_it_cannot_be():
    for wrong in ({"rate": -1.0}, {"rate": 0.1, "momentum": 1.0}, {"rate": float("nan")}):
        with pytest.raises(ValueError, match=r"must be a number of at least 0"):
            FoldedSGD(**wrong)


# -- a sample of the classes -----------------------------------------------------------------------------


def test_a_sample_has_the_batchs_own_classes_and_others_that_change():
    x, label, w, _ = given(9, 200)
    plain = head(NormFace(), w).train()
    made = like(plain, sample_rate=0.25, tile=16)
    drawn_before = []
    for _ in range(3):
        chosen = made.division.sample(label, 0.25, made.seed, made.step)
        assert len(chosen) == 50 and set(label[label >= 0].tolist()) <= set(chosen.tolist())
        assert (chosen.diff() > 0).all()
        made.zero_grad()
        leaf = x.clone().requires_grad_()
        value = made(leaf, label)
        value.sum().backward()
        touched = made.prototypes.grad.abs().sum(1).nonzero().flatten()
        assert torch.equal(touched, chosen)
        # As with these classes alone.
        few = head(NormFace(), w[chosen]).train()
        where = torch.where(label >= 0, torch.searchsorted(chosen, label.clamp(min=0)), -100)
        other = x.clone().requires_grad_()
        want = few(other, where)
        want.sum().backward()
        same([value, leaf.grad, made.prototypes.grad[chosen]], [want, other.grad, few.prototypes.grad])
        drawn_before.append(chosen.tolist())
    assert drawn_before[0] != drawn_before[1]
    same([made.eval()(x, label)], [plain.eval()(x, label)])  # only training samples


def test_each_class_is_drawn_as_often_as_any_other():
    division = Division(100, Processes())
    counts = torch.zeros(100)
    for step in range(400):
        counts[division.sample(torch.tensor([3]), 0.2, torch.tensor(0), torch.tensor(step))] += 1
    assert counts[3] == 400
    rest = torch.cat([counts[:3], counts[4:]]) / 400
    assert abs(rest.mean() - 19 / 99) < 1e-6 and rest.std() < 0.03


@pytest.mark.parametrize("loss", [NormFace(), RegularFace(), MarginLoss(), SubCenterArcFace()], ids=name)
def test_an_update_touches_only_the_rows_of_a_sample(loss):
    x, label, w, _ = given(9, 200)
    made = like(head(loss, w).train(), sample_rate=0.1, tile=6, update=FoldedSGD(0.1, 0.9, 0.01))
    chosen, before = (
        made.division.sample(label, 0.1, made.seed, made.step),
        made.prototypes.detach().clone(),
    )
    made(x.clone().requires_grad_(), label).mean().backward()
    moved = (made.prototypes != before).any(1).view(200, -1).any(1).nonzero().flatten()
    assert torch.equal(moved, chosen)


# -- precision -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("half, near", [(torch.bfloat16, 2e-2), (torch.float16, 3e-3)])
def test_products_in_half_precision_give_float32(half, near):
    """Losses as of rounded cosines, gradients that are near, however small they are."""
    x, label, w = problem(batch=32, dim=64, classes=100, dtype=torch.float32)
    plain = head(ArcFace(scale=16), w, dtype=torch.float32).train()
    made = like(plain, products=half, tile=30)
    results = []
    for each in (made, plain):
        leaf = x.clone().requires_grad_()
        value = each(leaf, label)
        (1e-6 * value.mean()).backward()
        results.append([value.detach(), leaf.grad, each.prototypes.grad])
    for found, want in zip(*results, strict=True):
        assert found.dtype == torch.float32
        assert (found - want).norm() < near * want.norm()
    assert not torch.equal(results[0][0], results[1][0])


def test_embeddings_in_half_precision_and_autocast():
    x, label, w = problem(batch=8, dtype=torch.float32)
    made = like(head(ArcFace(), w, dtype=torch.float32).train(), tile=4)
    results = []
    for under in (True, False):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=under):
            made.zero_grad()
            leaf = x.bfloat16().requires_grad_()
            value = made(leaf, label)
            value.mean().backward()
            results.append([value.detach(), leaf.grad, made.prototypes.grad])
    same(*results, 0)
    assert value.dtype == made.prototypes.grad.dtype == torch.float32 and leaf.grad.dtype == torch.bfloat16
    same([made.eval()(x.bfloat16(), label)], [made(x.bfloat16().float(), label)], 0)


# -- around it -------------------------------------------------------------------------------------------


@defaults
def test_nothing_in_a_tiled_step_reads_a_value_back_or_copies_one_over(loss):
    """Either would stop a GPU until it has caught up. Tensors without values (`meta`) complain of the first."""
    with torch.device("meta"):
        for options in ({"tile": 4}, {"sample_rate": 0.5}, {"tile": 4, "update": FoldedSGD(0.1)}):
            made = PrototypeHead(loss, 5, 18, **options).train()
            x, label = torch.randn(7, 5, requires_grad=True), torch.randint(18, (7,))
            with NoCopies():
                made(x, label).mean().backward()
                made.eval().gap(x, label)
            assert x.grad.shape == (7, 5)


def test_a_network_with_a_tiled_head_can_be_compiled():
    x, label, w, _ = given(9, 20)
    made = like(head(ArcFace(), w).train(), tile=6)

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.head = nn.Linear(5, 5).double(), made

        def forward(self, x: Tensor, label: Tensor) -> Tensor:
            return self.head(F.silu(self.body(x)), label).mean()

    plain = Net()
    twin = copy.deepcopy(plain)
    torch._dynamo.reset()
    compiled = torch.compile(twin, backend="aot_eager")
    for _ in range(2):
        for run, each in ((plain, plain), (compiled, twin)):
            each.zero_grad()
            run(x, label).backward()
        same([p.grad for p in twin.parameters()], [p.grad for p in plain.parameters()])


@pytest.mark.parametrize(
    "options, sentence",
    [
        ({"tile": 0}, "tile is 0, but it must be a whole number of classes, 'auto' or None."),
        ({"tile": "some"}, "tile is 'some', but it must be"),
        ({"sample_rate": 0.0}, "sample_rate is 0, but it must be above 0 and at most 1."),
        ({"sample_rate": 1.5}, "sample_rate is 1.5, but"),
        (
            {"products": torch.float64},
            "products is torch.float64, but it must be torch.bfloat16, torch.float16 or None.",
        ),
    ],
)
def test_bad_options_get_one_sentence(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        PrototypeHead(ArcFace(), 5, 10, **options)


def test_labels_beyond_the_classes_get_one_sentence():
    x, label, w, _ = given(9, 20)
    with pytest.raises(ValueError, match=r"Labels must run from 0 to 19 \(or be -100: ignored\); these run from"):
        like(head(ArcFace(), w), tile=6)(x, label + 20)


def test_another_loss_takes_effect_at_the_next_call():
    x, label, w, _ = given(9, 20)
    made = like(head(ArcFace(margin=0.2), w), tile=6)
    made.loss = replace(made.loss, margin=0.4)
    same([made(x, label)], [head(ArcFace(margin=0.4), w)(x, label)])


def test_first_prototypes_are_drawn_in_parts_as_they_are_drawn_whole(monkeypatch):
    monkeypatch.setattr(dividing, "BLOCK", 16)
    for rows, dim in ((33, 5), (64, 2), (70, 3)):
        whole = torch.randn(rows, dim, generator=torch.Generator().manual_seed(3))
        for first, count in ((0, 10), (10, 20), (rows - 4, 4)):
            part = drawn(rows, dim, torch.Generator().manual_seed(3), first, count)
            assert torch.equal(part, whole[first : first + count])
