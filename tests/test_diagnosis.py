"""A diagnosis says what is so: against numbers worked out by hand, for every loss, and leaving no trace."""

import math

import pytest
import torch
from cases import head, problem

from losslab import ArcFace, CosFace, NormFace, PairHead, PrototypeHead, Softmax, diagnose, losses
from losslab.diagnosis import expected_loss, loss_floor, smallest_scale

EVERY = pytest.mark.parametrize("name", losses.catalogue())


def fan(degrees):
    angle = torch.tensor(degrees, dtype=torch.float64).deg2rad()
    return torch.stack([angle.cos(), angle.sin()], 1)


def test_angles_gap_and_answers_of_a_fan():
    made = head(CosFace(scale=16, margin=0.1), fan([0, 90.0]))
    found = diagnose(made, 7 * fan([10, 40, 80.0]), torch.tensor([0, 0, 0]))
    assert found.own.rad2deg().tolist() == pytest.approx([10, 40, 80])
    assert found.nearest.rad2deg().tolist() == pytest.approx([80, 50, 10])
    cos = [math.cos(math.radians(a)) for a in (10, 40, 80)]
    assert found.gap.tolist() == pytest.approx(
        [cos[0] - 0.1 - cos[2], cos[1] - 0.1 - math.cos(math.radians(50)), cos[2] - 0.1 - cos[0]]
    )
    assert found.correct.tolist() == [True, True, False]


def test_a_push_is_that_of_the_unit_sphere_and_the_satisfied_are_saturated():
    made = head(NormFace(scale=16), fan([0, 90.0]))
    found = diagnose(made, 7 * fan([1, 45.0]), torch.tensor([0, 0]))
    wrong = torch.exp(-made(7 * fan([1, 45.0]), torch.tensor([0, 0]))).neg() + 1
    across = torch.tensor([math.sin(math.radians(a)) + math.cos(math.radians(a)) for a in (1, 45)], dtype=torch.float64)
    torch.testing.assert_close(found.push, (16 * wrong * across).detach())
    assert found.saturated == 0.5


def test_margins_that_wrap_around_are_counted_whatever_is_done_about_them():
    label = torch.zeros(4, dtype=torch.long)
    for beyond in ("monotone", "raw", "clip", "keep"):
        made = head(ArcFace(margin=0.5, beyond=beyond), fan([0, 90.0]))
        assert diagnose(made, fan([10, 100, 155, 170.0]), label).wrapped == 0.5
    assert diagnose(head(CosFace(), fan([0, 90.0])), fan([10, 170.0]), label[:2]).wrapped is None


def test_the_concentration_of_a_class_is_that_of_its_mean_resultant():
    found = diagnose(head(NormFace(), fan([0, 90.0, 180])), fan([0, 20, -20, 40.0, 90]), torch.tensor([0, 0, 0, 0, 1]))
    assert found.concentration[0].item() == pytest.approx(7.369635, abs=1e-5)
    assert found.concentration[1:].isnan().all()


def test_scales_and_floors_are_the_published_bounds():
    assert smallest_scale(10_572) == pytest.approx(11.46, abs=5e-3)
    assert [loss_floor(s, 10_572) for s in (1, 10, 20)] == pytest.approx([8.266, 0.3917, 2.2e-5], rel=2e-2)
    made = head(NormFace(scale=smallest_scale(2)), fan([0, 180.0]))
    assert torch.exp(-made(fan([0.0]), torch.tensor([0]))).item() == pytest.approx(0.9)
    for wrong in ((1, 0.9), (10, 1.0)):
        with pytest.raises(ValueError, match=r"2 classes or more .*\.$"):
            smallest_scale(*wrong)


def test_the_loss_to_expect_is_what_a_fresh_head_gives():
    assert expected_loss(NormFace(scale=1), 512, 1000) == pytest.approx(math.log(1000), abs=0.05)
    assert expected_loss(Softmax(), 64, 100, norm=1e-3) == pytest.approx(math.log(100), abs=1e-2)
    # In d dimensions cosines have a variance of 1/d: the others gather s²/2d more than log C.
    assert expected_loss(CosFace(scale=32, margin=0.35), 512, 5000) == pytest.approx(
        math.log(5000) + 1 + 32 * 0.35, abs=0.5
    )


@EVERY
def test_every_loss_can_be_diagnosed_and_keeps_no_trace(name):
    loss = losses.starting(name)
    made = (PairHead if isinstance(loss, losses.PairLoss) else PrototypeHead)(loss, 3, 6, seed=0).train()
    x, label, _ = problem(batch=40, dim=3, dtype=torch.float32)
    made(x, label)
    before = {key: value.clone() for key, value in made.state_dict().items()}
    found = diagnose(made, x, label)
    assert made.training and all(torch.equal(value, before[key]) for key, value in made.state_dict().items())
    assert all(p.grad is None for p in made.parameters())
    said = str(found)
    assert "nan" not in said and "inf" not in said and all(line.endswith(".") for line in said.splitlines())
    assert math.isfinite(found.expected) and (found.push >= 0).all() and found.push.isfinite().all()


def test_ignored_samples_are_left_out_and_nothing_at_all_is_refused():
    made = PrototypeHead(ArcFace(), 3, 6, seed=0)
    x, label, _ = problem(batch=10, dim=3, dtype=torch.float32)
    label[3:5] = -100
    assert len(diagnose(made, x, label).own) == 8
    with pytest.raises(ValueError, match="nothing to diagnose"):
        diagnose(made, x[:0], label[:0])
