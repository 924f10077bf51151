"""Gradients are derivatives where they say so, finite everywhere, and tangent to the sphere."""

from dataclasses import replace

import pytest
import torch
from cases import exact, head, name, problem, variants

from losslab import ArcFace, NormFace, PrototypeHead
from losslab.catalogue import knobs
from losslab.geometry import angle, sine, turn, unit

every = pytest.mark.parametrize("loss", variants(), ids=name)


@pytest.mark.parametrize("loss", [loss for loss in variants() if exact(loss)], ids=name)
def test_the_exact_gradient_is_the_derivative(loss):
    if "scale" in knobs(loss):
        loss = replace(loss, scale=8)  # the default scale saturates most samples: nothing to compare
    x, label, w = problem(batch=6)
    made = head(loss, w)

    def run(embedding, prototypes):
        return torch.func.functional_call(made, {"prototypes": prototypes}, (embedding, label))

    assert torch.autograd.gradcheck(run, (x.requires_grad_(), w.requires_grad_()))


def test_detached_has_the_value_of_the_margin_and_the_slope_of_the_cosine():
    x, label, w = problem()
    grads = {}
    for mode in ("exact", "detached"):
        made = head(ArcFace(scale=8, gradient=mode, beyond="raw"), w)
        leaf = x.clone().requires_grad_()
        value = made(leaf, label)
        grads[mode] = (value.detach(), torch.autograd.grad(value.sum(), leaf)[0])
    torch.testing.assert_close(grads["exact"][0], grads["detached"][0])

    # The two differ by the slope of the margin curve, sin(θ + m)/sin θ, in the own class's part alone.
    made = head(ArcFace(scale=8, beyond="raw"), w)
    leaf = x.clone().requires_grad_()
    a = made.angles(leaf, label)
    p = torch.exp(-grads["exact"][0])
    own = torch.autograd.grad(a.target.sum(), leaf)[0]
    theta = angle(a.target).detach()
    slope = torch.sin(theta + 0.5) / torch.sin(theta)
    want = -8 * ((1 - p) * (slope - 1))[:, None] * own
    torch.testing.assert_close(grads["exact"][1] - grads["detached"][1], want)


@pytest.mark.parametrize("loss", [loss for loss in variants() if "scale" in knobs(loss)], ids=name)
def test_the_push_is_tangent_where_only_directions_count(loss):
    x, label, w = problem()
    made, leaf = head(loss, w), x.requires_grad_()
    made(leaf, label).sum().backward()
    assert (leaf.grad * x).sum(1).abs().max() < 1e-10
    assert (made.prototypes.grad * made.prototypes).sum(1).abs().max() < 1e-10


TINY, HUGE = {torch.float16: (1e-7, 6e4), torch.bfloat16: (1e-30, 1e30)}, (1e-30, 1e30)


@every
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16], ids=str)
def test_values_and_gradients_are_finite_at_every_extreme(loss, dtype):
    """cos = +1, cos = −1, zero, tiny and huge embeddings, two equal prototypes, and prototypes at the origin."""
    tiny, huge = TINY.get(dtype, HUGE)
    w = torch.tensor([[0.6, 0.8, 0], [0.6, 0.8, 0], [0, 0, 1], [-0.6, -0.8, 0], [0, 0, 0]], dtype=dtype)
    axis = torch.tensor([0.6, 0.8, 0], dtype=dtype)
    if "scale" not in knobs(loss):
        huge = min(huge, 1e18)  # the logits themselves grow with the length
    x = torch.stack([axis, -axis, 0 * axis, axis * tiny, -axis * tiny, axis * huge, -axis * huge, 1000 * axis])
    for label in range(5):
        made = PrototypeHead(loss, 3, 5, seed=0).to(dtype).train()
        made.prototypes.data = w.clone()
        leaf = x.clone().requires_grad_()
        value = made(leaf, torch.full((len(x),), label))
        assert value.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
        assert value.isfinite().all()
        value.mean().backward()
        assert leaf.grad.isfinite().all(), leaf.grad
        assert made.prototypes.grad.isfinite().all(), made.prototypes.grad


@every
def test_one_class_alone_costs_nothing_and_pulls_nowhere(loss):
    made, x = PrototypeHead(loss, 3, 1, seed=0), torch.randn(4, 3, requires_grad=True)
    value = made(x, torch.zeros(4, dtype=torch.long))
    value.sum().backward()
    assert (value == 0).all() and (x.grad == 0).all()


def test_nan_stays_nan():
    """A broken network must show in the loss, not be hidden by a guard."""
    x = torch.tensor([[float("nan"), 1.0]])
    assert PrototypeHead(NormFace(), 2, 3)(x, torch.tensor([0])).isnan().all()


def test_reductions_are_float32_under_autocast():
    x, label, w = problem(dtype=torch.float32)
    made = head(ArcFace(), w, dtype=torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        under = made(x, label)
    assert under.dtype == torch.float32 and torch.equal(under, made(x, label))


def test_nothing_is_written_into_what_the_caller_owns():
    x, label, w = problem(dtype=torch.float32)
    made = head(ArcFace(), w, dtype=torch.float32)
    before = x.clone(), label.clone(), made.prototypes.clone()
    made(x, label).sum().backward()
    assert torch.equal(x, before[0]) and torch.equal(label, before[1]) and torch.equal(made.prototypes, before[2])


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
