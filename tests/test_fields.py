"""A field is the derivative of the real head: at single places, of terms, around a prototype, and followed."""

import math
import threading

import pytest
import torch
from cases import head, name, of_pairs, problem, season, with_prototypes

from losslab import (
    ArcFace,
    CenterLoss,
    CosFace,
    IntraLoss,
    Linear,
    MarginLoss,
    NormFace,
    PrototypeHead,
    RangeLoss,
    Softmax,
)
from losslab.fields import flow, profile, prototype_push, push, term_push
from losslab.geometry import angle, circle, lattice, tangent, unit
from losslab.losses import starting

DEGREE = math.pi / 180
# Section 1.1 of the specification: centres at 0, 40 and 180 degrees, the sample's class at 0.
CENTRES = [[math.cos(at * DEGREE), math.sin(at * DEGREE)] for at in (0, 40, 180)]
plain = [kind() for kind in {type(loss): None for loss in with_prototypes()}]


@pytest.mark.parametrize("loss", with_prototypes(), ids=name)
def test_a_push_is_what_a_sample_alone_feels(loss):
    x, label, w = problem(batch=7, dim=3, classes=4)
    made = season(head(loss, w), *problem(batch=20, dim=3, classes=4, seed=1)[:2])
    found = push(made, x, label)
    for i in range(len(x)):
        one = x[i : i + 1].clone().requires_grad_()
        value = made(one, label[i : i + 1])
        value.sum().backward()
        assert torch.allclose(found.loss[i], value[0])
        assert torch.allclose(found.push[i], -one.grad[0])
    assert torch.allclose(found.tangent, tangent(found.push, unit(x)[0]))


def test_range_loss_alone_is_its_base():
    """In a batch it is not: there it compares the samples."""
    x, label, w = problem(batch=8, dim=3, classes=3)
    made = head(RangeLoss(intra=1, inter=1, margin=50), w)
    base = head(Softmax(), w)
    assert torch.allclose(push(made, x, label).push, push(base, x, label).push)
    assert not torch.allclose(made(x, label), base(x, label))
    wrapped = head(IntraLoss(base=RangeLoss(intra=1)), w)
    assert torch.allclose(push(wrapped, x, label).push, push(head(IntraLoss(base=Softmax()), w), x, label).push)
    assert not term_push(made, x, label).push.any()


@pytest.mark.parametrize("loss", of_pairs(), ids=name)
def test_pairs_have_no_field(loss):
    x, label, w = problem(dim=3)
    with pytest.raises(ValueError, match="alone: choose a loss with prototypes"):
        push(head(loss, w), x, label)


@pytest.mark.parametrize("loss", plain, ids=name)
def test_prototypes_are_pushed_by_the_mean_loss(loss):
    x, label, w = problem(batch=9, dim=3, classes=4)
    made = season(head(loss, w), x, label)
    found = prototype_push(made, x, label)
    made(x, label).mean().backward()
    assert torch.allclose(found.push, -made.prototypes.grad)
    assert found.push.shape == made.prototypes.shape
    assert (found.tangent * made.prototypes).sum(1).abs().max() < 1e-9


@pytest.mark.parametrize("loss", [ArcFace(), IntraLoss(), CenterLoss(), MarginLoss(centres="learned")], ids=name)
def test_the_head_stays_as_it_is(loss):
    x, label, w = problem(dim=3)
    made = head(loss, w).train()
    before = {key: value.clone() for key, value in made.state_dict().items()}
    for field in (push, prototype_push, *([term_push] if isinstance(loss, IntraLoss) else [])):
        field(made, x, label)
    flow(made, x, label, steps=2)
    profile(made, 0, made.prototypes[1])
    assert made.training and made.loss is loss
    assert all(each.grad is None and each.requires_grad for each in made.parameters())
    assert all(torch.equal(value, before[key]) for key, value in made.state_dict().items())


def test_one_head_answers_many_at_once():
    x, label, w = problem(batch=500, dim=3)
    made, found = head(IntraLoss(), w), {}
    alone = push(made, x, label).push

    def ask(i):
        found[i] = push(made, x, label).push if i % 2 else prototype_push(made, x, label).push

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(8)]
    [each.start() for each in threads], [each.join() for each in threads]
    assert all(torch.equal(found[i], alone) for i in range(1, 8, 2))


def test_where_nothing_is_recorded_a_field_still_is():
    x, label, w = problem(dim=3)
    made = head(ArcFace(), w)
    before = push(made, x, label).push
    with torch.no_grad():
        assert torch.equal(push(made, x, label).push, before)
    with torch.inference_mode():
        assert torch.equal(push(made, x, label).push, before)


def test_half_precision_is_widened_and_ignored_samples_feel_nothing():
    x, label, w = problem(dim=3)
    label[0] = -100
    found = push(head(ArcFace(), w, dtype=torch.float32), x.half(), label)
    assert found.push.dtype == torch.float32
    assert not found.push[0].any() and found.push[1:].any(1).all()


def test_schedules_stand_at_the_heads_step():
    x, label, w = problem(dim=3)
    made = head(ArcFace(margin=Linear(0.0, 0.5, steps=10)), w)
    made.step += 10
    assert torch.allclose(push(made, x, label).push, push(head(ArcFace(margin=0.5), w), x, label).push)


def test_mistakes_are_told():
    x, label, w = problem(dim=3)
    with pytest.raises(ValueError, match="Embeddings must be"):
        push(head(ArcFace(), w), x[:, :2], label)
    with pytest.raises(ValueError, match="not added to another loss"):
        term_push(head(ArcFace(), w), x, label)
    with pytest.raises(ValueError, match="run from 0 to 5; this is 6"):
        profile(head(ArcFace(), w), 6, w[0])


def test_a_term_alone():
    """Of center loss: straight to the centre, as strong as the weight says, whatever the base does."""
    x, label, w = problem(dim=3)
    made = season(head(CenterLoss(base=ArcFace(), weight=0.2), w), x, label)
    found = term_push(made, x, label)
    assert torch.allclose(found.push, 0.2 * (made.memory.centre[label] - x))
    assert torch.allclose(found.loss, 0.1 * (made.memory.centre[label] - x).square().sum(1))


def test_a_term_that_weighs_its_base_is_without_it():
    x, label, w = problem(dim=3)
    one = head(MarginLoss(weight=0.3, share=1.0), w)
    none = head(MarginLoss(weight=0.3, share=0.0), w)
    none.memory.load_state_dict(one.memory.state_dict())
    assert torch.allclose(term_push(one, x, label).push, push(none, x, label).push)
    assert torch.allclose(term_push(none, x, label).push, push(none, x, label).push)


# -- along a great circle --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("loss", "facing", "far"),
    [
        (NormFace(scale=10), 1.5740, -0.1876),
        (CosFace(scale=10, margin=0.35), 6.1294, -3.0801),
        (ArcFace(scale=10, margin=0.5), 7.8787, -0.2840),
        (ArcFace(scale=64, margin=0.5), 71.6597, -0.0013),
        (IntraLoss(base=ArcFace(scale=64, margin=0.5), weight=1.0), 71.71, 11.1106),
    ],
    ids=lambda value: name(value) if not isinstance(value, float) else str(value),
)
def test_the_side_away_from_neighbours_is_hardly_pulled(loss, facing, far):
    """The table of section 1.1, 10 degrees from the prototype on either side."""
    made = head(loss, CENTRES)
    found = profile(made, 0, made.prototypes[1], n=37)
    assert torch.allclose(found.angle / DEGREE, torch.arange(-180, 181, 10).double())
    assert found.pull[19].item() == pytest.approx(facing, rel=1e-4, abs=6e-5)
    assert found.pull[17].item() == pytest.approx(far, rel=1e-4, abs=6e-5)


@pytest.mark.parametrize("loss", [starting(type(each)) for each in plain], ids=name)
@pytest.mark.parametrize("norm", [1.0, 5.0])
def test_a_pull_is_the_slope_of_the_loss(loss, norm):
    """Against differences of the losses, for those that hold nothing still."""
    w = problem(dim=3, classes=4)[2]
    made = head(loss, w)
    found = profile(made, 1, w[2], n=2001, norm=norm)
    assert found.angle[0].item() == -math.pi and found.angle[-1].item() == pytest.approx(math.pi)
    assert found.loss[0].item() == pytest.approx(found.loss[-1].item())
    if not loss.holds_still and not getattr(getattr(loss, "base", None), "holds_still", False):
        slope = torch.gradient(found.loss, spacing=(found.angle,))[0] * found.angle.sign()
        smooth = (slope - found.pull).abs() < 1e-2 * (1 + found.pull.abs())
        assert smooth.double().mean() > 0.98  # all but corners


def test_a_profile_towards_the_prototype_itself_is_finite():
    made = head(ArcFace(), CENTRES)
    found = profile(made, 0, made.prototypes[0])
    assert found.pull.isfinite().all() and found.loss.isfinite().all()


# -- followed --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", [starting(type(each)) for each in plain], ids=name)
def test_streamlines_stay_on_the_sphere_and_take_bounded_steps(loss):
    made = head(loss, problem(dim=3, classes=4)[2], dtype=torch.float32)
    start = 2 * lattice(40)
    lines = flow(made, start, torch.arange(40) % 4, steps=60, length=0.1)
    assert lines.shape == (61, 40, 3)
    assert torch.equal(lines[0], start)
    assert torch.allclose(lines.norm(dim=2), torch.tensor(2.0), atol=1e-5)
    cosine = (lines[1:] * lines[:-1]).sum(2).double() / 4
    assert angle(cosine.clamp(-1, 1)).max() < 0.1 + 1e-3


def test_streamlines_of_a_lone_attractor_end_in_it():
    """Two opposite classes on a circle, a scale too small to saturate: all end at their prototype, and rest there."""
    made = head(NormFace(scale=1), [[1.0, 0], [-1, 0]])
    start = circle(24).double()[1:12]
    lines = flow(made, start, torch.zeros(11, dtype=torch.long), steps=400, length=0.05)
    assert torch.allclose(lines[-1], torch.tensor([1.0, 0]).double().expand(11, 2), atol=0.02)
    loss = torch.stack([push(made, place, torch.zeros(11, dtype=torch.long)).loss for place in lines[::20]])
    assert (loss.diff(dim=0) <= 1e-6).all()


def test_streamlines_do_not_swing_about_a_corner():
    """A margin on the angle pulls with full force up to the prototype: steps shrink there all the same."""
    made = head(ArcFace(scale=64, margin=0.5), CENTRES)
    start = circle(36).double()[[1, 3, 5]]
    lines = flow(made, start, torch.zeros(3, dtype=torch.long), steps=200, length=0.1)
    assert (lines[-20:].diff(dim=0).norm(dim=2)).max() < 1e-3


def test_where_nothing_pushes_nothing_moves():
    made = head(Softmax(), [[1.0, 0], [1.0, 0]])
    start = torch.tensor([[0.0, 1.0], [0.3, 0.2]]).double()
    lines = flow(made, start, torch.tensor([0, 1]), steps=5, normalised=False)
    assert torch.equal(lines, start.expand(6, 2, 2))


def test_in_the_plane_lengths_count():
    made = head(Softmax(), [[1.0, 0], [-1.0, 0]])
    lines = flow(made, torch.tensor([[0.5, 0.5]]).double(), torch.tensor([0]), steps=50, length=0.1, normalised=False)
    assert (lines[1:, 0, 0] > lines[:-1, 0, 0]).all()  # outwards, along the prototype
    assert torch.allclose(lines[:, 0, 1], torch.tensor(0.5).double())
    step = lines.diff(dim=0)[:, 0, 0]
    assert step.max() <= 0.1 and step[-1] < step[0] / 2  # slower and slower


def test_a_lone_prototype_head_is_enough():
    """Nothing but the public head is needed."""
    made = PrototypeHead(ArcFace(), dim=3, classes=10, seed=0)
    found = push(made, lattice(100), torch.arange(100) % 10)
    assert found.push.shape == found.tangent.shape == (100, 3) and found.loss.shape == (100,)
