"""Gradients are the derivatives that they claim to be, finite everywhere, and tangent where only directions count."""

from dataclasses import replace

import pytest
import torch
from cases import exact, head, name, of_pairs, problem, season, variants, with_prototypes
from torch import Tensor
from torch.func import functional_call
from torch.nn.functional import cross_entropy
from torch.overrides import TorchFunctionMode

from losslab import (
    AdaFace,
    ArcFace,
    CenterLoss,
    Circle,
    CirclePair,
    DynArcFace,
    ElasticFace,
    InterFace,
    IntraLoss,
    KappaFace,
    MarginLoss,
    Softmax,
)
from losslab.geometry import angle, sine, turn, unit
from losslab.losses import Loss, PairLoss, SoftmaxLoss, knobs, turned

DTYPES = [torch.float64, torch.float32, torch.bfloat16, torch.float16]


def soft(loss: Loss) -> Loss:
    """The loss at a small scale: at its default most samples are saturated, and there is nothing to compare."""
    return turned(loss, {knob: 8 for knob in knobs(loss) if knob.endswith("scale")})


def seasoned(loss: Loss):
    """A head whose memory comes from data, embeddings [6 3] and labels."""
    x, label, w = problem(batch=6, dim=3, classes=4)
    made = season(head(loss, w), *problem(batch=20, dim=3, classes=4, seed=1)[:2])
    made.prototypes.data = head(loss, w).prototypes.data
    return made, x.requires_grad_(), label


class Held(TorchFunctionMode):
    """What is detached, or worked out under `no_grad`, keeps the value that it had in the first run of all: of the
    function that is left, the gradient must be the derivative."""

    def __init__(self) -> None:
        super().__init__()
        self.kept, self.place = [], None

    def __enter__(self) -> "Held":
        self.place = 0 if self.kept else None
        return super().__enter__()

    def __torch_function__(self, func, types, args=(), kwargs=None):
        value = func(*args, **(kwargs or {}))
        if not isinstance(value, Tensor) or (torch.is_grad_enabled() and func is not Tensor.detach):
            return value
        if self.place is None:
            self.kept.append(value.clone())
            return value
        self.place += 1
        return self.kept[self.place - 1]


composed = [IntraLoss(variant="ring", ring=0), IntraLoss(base=InterFace()), CenterLoss(base=KappaFace(), weight=0.1)]


@pytest.mark.parametrize("loss", [loss for loss in variants() + composed if loss.gradient == "exact"], ids=name)
def test_the_gradient_is_the_derivative(loss):
    """To embeddings, prototypes and what else is learned; with what the formula holds still held still."""
    made, x, label = seasoned(soft(loss))
    learned, held = dict(made.named_parameters()), Held()

    def run(embedding, *values):
        return functional_call(made, dict(zip(learned, values, strict=True)), (embedding, label))

    def run_held(*values):
        with held:
            return run(*values)

    assert torch.autograd.gradcheck(run if exact(loss) else run_held, (x, *learned.values()))


@pytest.mark.parametrize("loss", [soft(loss) for loss in variants() if isinstance(loss, ElasticFace)], ids=name)
def test_the_gradient_is_the_derivative_at_random_margins_too(loss):
    x, label, w = problem(batch=6, dim=3, classes=4)
    made = head(replace(loss, gradient="exact", spread=0.2), w).train()

    def run(embedding, prototypes):
        return functional_call(made, {"prototypes": prototypes, "step": torch.tensor(3)}, (embedding, label))

    assert not torch.equal(run(x, w), made.eval()(x, label))
    made.train()
    assert torch.autograd.gradcheck(run, (x.requires_grad_(), w.requires_grad_()))


# What is held still, and what is not, written out: a constant in the formula is a `const` here.


def const(value: Tensor) -> Tensor:
    return value.detach().clone()


def reduced(loss, a, own, other):
    return cross_entropy(loss.scale * torch.where(a.own, own, other), a.label, reduction="none")


def interface(loss, a, made):
    phi = const(torch.where(a.own, torch.pi / 2, a.between().clamp(-1, 1).arccos()))
    reach = loss.reach * (torch.exp(-loss.middle / phi) - torch.exp(-a.target.arccos()[:, None] / phi))
    return reduced(loss, a, (a.cosine.arccos() + loss.margin).cos(), (a.cosine.arccos() - const(reach)).cos())


def adaface(loss, a, made):
    quality = loss.spread * (const(a.norm) - made.memory.mean) / (made.memory.deviation + 1e-3)
    shift = loss.margin * quality.clamp(-1, 1)[:, None]
    return reduced(loss, a, (a.cosine.arccos() - shift).cos() - loss.margin - shift, a.cosine)


def circle(loss, a, made):
    near, far = const((1 + loss.margin - a.cosine).relu()), const((a.cosine + loss.margin).relu())
    return reduced(loss, a, near * (a.cosine - 1 + loss.margin), far * (a.cosine - loss.margin))


def dynarcface(loss, a, made):
    nearest = a.between().masked_fill(a.own, -1).amax(1).arccos()
    bump = 0.03 * loss.margin / (1 + (20 * (nearest - loss.knee).abs()) ** 1.1)
    margin = const(loss.slope * (nearest - loss.knee).relu() + loss.margin + bump)
    return reduced(loss, a, (a.cosine.arccos() + margin[:, None]).cos(), a.cosine)


def intraloss(loss, a, made):
    base = reduced(loss.base, a, (a.cosine.arccos() + loss.base.margin).cos(), a.cosine)
    return base + loss.weight * const(torch.exp(-base)) * loss.base.scale * (1 - a.target)


def marginloss(loss, a, made):
    centre = made.memory.centre
    square = (a.embedding[:, None] - centre).square().sum(2)
    apart = (centre[:, None] - centre).square().sum(2)
    margin = loss.margin * const(apart.sum() / (len(centre) * (len(centre) - 1)))
    short = (margin + square.gather(1, a.label[:, None]) - square).relu().masked_fill(a.own, 0)
    base = cross_entropy(a.embedding @ made.prototypes.T, a.label, reduction="none")
    return base + loss.weight * short.sum(1) / 2


def circlepair(loss, a, made):
    cosine, rows = a.direction @ a.direction.T, []
    near, far = const((1 + loss.margin - cosine).relu()), const((cosine + loss.margin).relu())
    for i, row in enumerate(cosine):
        same = (a.label == a.label[i]) & (torch.arange(len(cosine)) != i)
        own = torch.exp(-loss.scale * near[i] * (row - 1 + loss.margin))[same].sum()
        other = torch.exp(loss.scale * far[i] * (row - loss.margin))[a.label != a.label[i]].sum()
        rows.append(torch.log(1 + own * other))
    return torch.stack(rows)


FORMULAS = {
    InterFace(): interface,
    AdaFace(): adaface,
    Circle(): circle,
    DynArcFace(): dynarcface,
    IntraLoss(): intraloss,
    MarginLoss(): marginloss,
    CirclePair(): circlepair,
}


@pytest.mark.parametrize("loss", FORMULAS, ids=name)
def test_only_what_the_formula_says_is_held_still(loss):
    made, x, label = seasoned(soft(loss))
    learned = (x, *made.parameters())
    value, want = made(x, label), FORMULAS[loss](made.loss, made.angles(x, label), made)
    torch.testing.assert_close(value, want)
    torch.testing.assert_close(*(torch.autograd.grad(each.sum(), learned) for each in (value, want)))


with_gradient = [replace(soft(loss), gradient="exact") for loss in variants() if "gradient" in knobs(loss)]
rings = [IntraLoss(base=soft(ArcFace()), variant="ring")]


@pytest.mark.parametrize("loss", dict.fromkeys([*with_gradient, *rings]), ids=name)
def test_detached_has_the_value_of_the_margin_and_the_slope_of_the_plain_curve(loss):
    """The two gradients differ by how much steeper the bent curves are than the plain ones, and by nothing else."""
    loose = turned(loss, {knob: "detached" for knob in knobs(loss) if knob.endswith("gradient")})
    made, x, label = seasoned(loss)
    leaves, found = (x, made.prototypes), {}
    for each in (loss, loose):
        made.loss = each
        found[each] = made(x, label)
    torch.testing.assert_close(found[loss], found[loose])
    difference = [
        tight - free
        for tight, free in zip(*(torch.autograd.grad(found[each].sum(), leaves) for each in (loss, loose)), strict=True)
    ]

    a = made.angles(x, label)
    radius = loss.radius(a).detach()
    softmax = SoftmaxLoss.__call__(loss, a) if isinstance(loss, SoftmaxLoss) else found[loss]
    wrong = 1 - torch.exp(-softmax.detach())
    plain = Softmax().positive(a) if loss.weighs_length else a.target
    steeper = -wrong * radius * (loss.positive(a) - plain)
    share = a.others(radius[:, None] * loss.negative(a)).softmax(1).detach() * wrong[:, None]
    steeper = steeper + (share * radius[:, None] * (loss.negative(a) - loose.negative(a))).sum(1)
    torch.testing.assert_close(difference, list(torch.autograd.grad(steeper.sum(), leaves)))


@pytest.mark.parametrize("loss", variants(), ids=name)
def test_the_push_is_tangent_where_only_directions_count(loss):
    made, x, label = seasoned(loss)
    made(x, label).sum().backward()
    if not loss.weighs_norm or isinstance(loss, AdaFace):  # AdaFace reads the length and holds it still
        assert (x.grad * x).sum(1).abs().max() < 1e-10
    if not loss.weighs_length and not isinstance(loss, PairLoss):
        assert (made.prototypes.grad * made.prototypes).sum(1).abs().max() < 1e-10


# Half precision ends at 65 504 and at 6e-8; where lengths count, squares of what is huge must be numbers too.
TINY = {torch.float64: 1e-200, torch.float16: 1e-7}
HUGE = {torch.float64: 1e200, torch.float16: 6e4}
HUGE_SQUARE = {torch.float64: 1e100, torch.float16: 1e3}


def extremes(loss: Loss, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Prototypes [5 3], of which two are equal, one is opposite and one at the origin; embeddings at cosine +1, −1 and
    0 to them, zero, tiny and huge."""
    w = torch.tensor([[0.6, 0.8, 0], [0.6, 0.8, 0], [0, 0, 1], [-0.6, -0.8, 0], [0, 0, 0]], dtype=dtype)
    axis, square = w[0], loss.weighs_norm or loss.weighs_length
    tiny, huge = TINY.get(dtype, 1e-30), HUGE_SQUARE.get(dtype, 1e18) if square else HUGE.get(dtype, 1e30)
    x = [axis, -axis, w[2], 0 * axis, tiny * axis, -tiny * axis, huge * axis, -huge * axis, axis / 64]
    return torch.stack(x), w


def step_is_finite(made, x: Tensor, label: Tensor) -> None:
    leaf = x.clone().requires_grad_()
    made.zero_grad()
    value = made(leaf, label)
    assert value.dtype == (torch.float64 if x.dtype == torch.float64 else torch.float32)
    value.mean().backward()
    learned = [weight.grad for weight in made.parameters() if weight.grad is not None]
    for tensor in (value, leaf.grad, *learned, *made.state_dict().values()):
        assert tensor.isfinite().all(), tensor


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("loss", variants(), ids=name)
def test_values_gradients_and_memory_are_finite_at_every_extreme(loss, dtype):
    """With each label, all of one class and mixed; in training, after an epoch and in `eval()`; alone in a batch."""
    x, w = extremes(loss, dtype)
    made = head(loss, w, dtype=dtype).train()
    every_label = torch.arange(5).repeat_interleave(len(x))
    step_is_finite(made, x.repeat(5, 1), every_label)
    made.end_epoch()
    step_is_finite(made, x, torch.full((len(x),), 4))
    step_is_finite(made, x, torch.zeros(len(x), dtype=torch.long))
    made.end_epoch()
    step_is_finite(made.eval(), x.repeat(5, 1), every_label)
    for one in x:
        step_is_finite(made.train(), one[None], torch.tensor([3]))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("loss", variants(), ids=name)
def test_one_class_alone_is_finite(loss, dtype):
    x, w = extremes(loss, dtype)
    made = head(loss, w[:1], dtype=dtype).train()
    for _ in range(2):
        step_is_finite(made, x, torch.zeros(len(x), dtype=torch.long))
        made.end_epoch()


@pytest.mark.parametrize("loss", [loss for loss in with_prototypes() if isinstance(loss, SoftmaxLoss)], ids=name)
def test_one_class_alone_costs_nothing_and_pulls_nowhere(loss):
    if "weight" in knobs(loss):
        loss = replace(loss, weight=0)  # MagFace rewards length besides
    x, label, w = problem(classes=1)
    made, leaf = head(loss, w), x.requires_grad_()
    value = made(leaf, label)
    value.sum().backward()
    assert (value == 0).all() and (leaf.grad == 0).all()


@pytest.mark.parametrize("loss", of_pairs(), ids=name)
def test_a_batch_of_one_sample_many_times_is_finite(loss):
    for dtype in DTYPES:
        x = torch.tensor([[0.6, 0.8, 0]], dtype=dtype).repeat(6, 1)
        made = head(loss, torch.eye(3), dtype=dtype).train()
        for label in (torch.zeros(6, dtype=torch.long), torch.tensor([0, 0, 0, 1, 1, 2])):
            step_is_finite(made, x, label)


def test_angles_agree_with_trigonometry():
    theta = torch.linspace(0.001, 3.1405, 500, dtype=torch.float64)
    c = theta.cos()
    torch.testing.assert_close(angle(c), theta)
    torch.testing.assert_close(sine(c), theta.sin(), rtol=0, atol=1e-9)
    torch.testing.assert_close(turn(c, 0.4), (theta + 0.4).cos(), rtol=0, atol=1e-9)
    torch.testing.assert_close(turn(c, torch.tensor(-0.4, dtype=torch.float64)), (theta - 0.4).cos(), rtol=0, atol=1e-9)


def test_unit_vectors_survive_any_length():
    v = torch.tensor([[3.0, 4.0]])
    for scale in (1e-11, 1.0, 1e30):
        direction, norm = unit(v * scale)
        torch.testing.assert_close(direction, torch.tensor([[0.6, 0.8]]))
        torch.testing.assert_close(norm, torch.tensor([5.0 * scale]))
    assert unit(torch.zeros(1, 2))[0].tolist() == [[0, 0]]


def test_nan_stays_nan():
    """A broken network must show in the loss where nobody looks at the embeddings, not be hidden by a guard."""
    direction, norm = unit(torch.tensor([[float("nan"), 1.0]]))
    assert direction.isnan().any() and norm.isnan().all()
