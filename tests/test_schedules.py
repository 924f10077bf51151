"""Schedules: what they are worth at a step, how they are written, and how a head follows them."""

import math
import warnings
from dataclasses import replace

import pytest
import torch
from cases import head, name, problem

from losslab import ArcFace, CenterLoss, CosFace, Cosine, Decay, IntraLoss, Linear, NormFace, PrototypeHead, SphereFace
from losslab.catalogue import knobs
from losslab.losses import catalogue
from losslab.schedules import number, parse


@pytest.mark.parametrize(
    ("schedule", "values"),
    [
        (Linear(0, 0.5, steps=1000), {0: 0, 250: 0.125, 1000: 0.5, 5000: 0.5}),
        (Linear(64, 16, 4), {0: 64, 1: 52, 4: 16, 9: 16}),
        (Cosine(1, 0, 100), {0: 1, 25: (1 + math.sqrt(0.5)) / 2, 50: 0.5, 100: 0, 400: 0}),
        # SphereFace on CASIA-WebFace, and L-Softmax on MNIST, as their authors lower λ
        (
            Decay(1000, 5, rate=0.12, power=1),
            {0: 1000, 10: 1000 / 2.2, 100: 1000 / 13, 1658: 5.0010, 1700: 5, 28000: 5},
        ),
        (Decay(1000, 0, rate=2.5e-5, power=35), {0: 1000, 10000: 1000 * 1.25**-35, 400000: 1000 * 11**-35}),
    ],
    ids=str,
)
def test_a_schedule_is_worth_its_formula(schedule, values):
    for step, value in values.items():
        assert number(schedule, step) == pytest.approx(value, rel=1e-4, abs=1e-9)
    first, last = schedule.ends
    assert first == values[0] and number(schedule, 10**9) == pytest.approx(last, abs=1e-9)
    between = [number(schedule, step) for step in range(0, 2000, 7)]
    assert all(min(first, last) <= value <= max(first, last) for value in between)


def test_a_plain_number_stays_what_it_is():
    assert number(0.3, 17) == 0.3


@pytest.mark.parametrize(
    "schedule",
    [Linear(0, 0.1234567891, 12345678), Cosine(-1e-9, 1e20, 1), Decay(1000, 0, 2.5e-5, 35)],
    ids=str,
)
def test_a_schedule_is_written_as_the_call_that_makes_it(schedule):
    assert parse(str(schedule)) == schedule == parse(repr(schedule))
    assert hash(parse(str(schedule))) == hash(schedule)


def test_a_schedule_may_be_written_with_names_and_spaces():
    assert parse(" Linear( start=0, end = .5, steps=1e3 ) ") == Linear(0, 0.5, 1000)
    assert str(Linear(0, 0.5, 1000)) == "Linear(0, 0.5, 1000)"


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os')(1)",
        "__import__('os').system('true')",
        "Linear(__import__('os').getpid(), 1, 2)",
        "Linear(0, 1, 2).at(3)",
        "Linear(0, 1, 2) + Linear(0, 1, 2)",
        "(lambda: Linear(0, 1, 2))()",
        "Linear",
        "Linear(0, 1)",
        "Linear(0, 1, 2, 3)",
        "Linear(0, 1, 2, steps=2)",
        "Linear(*[0, 1, 2])",
        "Linear(0, 1, 2, **{})",
        "Linear(0, 1, a)",
        "Linear(0, 1, 2); Linear(0, 1, 2)",
        "Schedule(1)",
        "linear(0, 1, 2)",
        "Linear(0, 1, 2",
        "",
        "\0",
        "Linear(0, 1, " + "(" * 5000,
        "Linear(" + "-" * 100_000 + "1, 1, 2)",
        "Linear(1" + "0" * 400 + ", 1, 2)",
    ],
    ids=lambda text: repr(text[:24]),
)
def test_what_is_not_one_plain_call_is_no_schedule(text):
    with (
        warnings.catch_warnings(),
        pytest.raises(ValueError, match="is no schedule; write one of Linear, Cosine, Decay"),
    ):
        warnings.simplefilter("ignore")
        parse(text)


@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (lambda: Linear(0, math.nan, 10), "end of a schedule is nan, but it must be a finite number."),
        (lambda: parse("Linear(0, 1e999, 10)"), "end of a schedule is inf, but it must be a finite number."),
        (lambda: Linear("0", 1, 10), "start of a schedule is '0', but it must be a finite number."),
        (lambda: Cosine(0, 1, 0), "steps of a schedule is 0, but it must be a whole number at least 1."),
        (lambda: Linear(0, 1, 2.5), "steps of a schedule is 2.5, but it must be a whole number at least 1."),
        (lambda: Linear(0, True, 2), "end of a schedule is True, but it must be a finite number."),
        # One that grows would leave the range that its ends were checked against.
        (lambda: Decay(1, 0, 1, -2), "Decay(1, 0, 1, -2) does not decay: its start, its rate and its power must be"),
        (lambda: Decay(1, 0, -0.1, 1), "Decay(1, 0, -0.1, 1) does not decay: its start, its rate and its power must"),
        (lambda: ArcFace(margin=Linear(0, 2, 10)), "margin is 2, but it must be from 0 to 1.5 rad."),
        (lambda: ArcFace(scale=Cosine(0.5, 64, 10)), "scale is 0.5, but it must be from 1 to 128."),
        (lambda: SphereFace(easing=Decay(2000, 5, 1, 1)), "easing is 2000, but it must be from 0 to 1000."),
        (lambda: ArcFace(beyond=Linear(0, 1, 2)), "beyond is Linear("),
        (lambda: NormFace(learned=Linear(0, 1, 2)), "learned is Linear("),
        (lambda: catalogue()["SubCenterArcFace"](subcentres=Linear(1, 3, 2)), "subcentres is Linear("),
    ],
)
def test_a_schedule_out_of_range_gets_one_sentence(build, sentence):
    with pytest.raises(ValueError) as error:
        build()
    assert str(error.value).startswith(sentence) and str(error.value).endswith(".")


NUMBERS = [
    (kind(), field)
    for kind in catalogue().values()
    for field, knob in knobs(kind).items()
    if isinstance(knob.default, float)
]


@pytest.mark.parametrize(("loss", "field"), NUMBERS, ids=[f"{name(loss)}-{field}" for loss, field in NUMBERS])
def test_every_number_of_every_loss_may_be_scheduled(loss, field):
    """A schedule that stays where it is changes nothing; one that moves ends at its last value."""
    x, label, w = problem()
    value, knob = getattr(loss, field), knobs(loss)[field]
    still = replace(loss, **{field: Linear(value, value, 3)})
    low, high = 0.9 * value, 1.1 * value
    before, after = sorted(v if v >= knob.low else knob.low for v in (low, high))
    moving = replace(loss, **{field: Linear(before, min(after, knob.high), 3)})
    made = [head(each, w).train() for each in (loss, still, moving)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(4):
            plain, same, _ = (each(x, label) for each in made)
            torch.testing.assert_close(same, plain, rtol=1e-5, atol=1e-5)
    there = head(replace(loss, **{field: min(after, knob.high)}), w)
    there.load_state_dict(made[2].state_dict())
    for each in (made[2].eval(), there):
        each.gap(x, label)
    torch.testing.assert_close(made[2](x, label), there(x, label), rtol=1e-5, atol=1e-5)


def test_a_head_follows_its_schedule_while_it_trains_and_only_then():
    x, label, w = problem()
    made = head(ArcFace(scale=16, margin=Linear(0, 0.5, 2)), w)

    def value(margin):
        return head(ArcFace(scale=16, margin=margin), w)(x, label)

    torch.testing.assert_close(made(x, label), value(0))
    torch.testing.assert_close(made(x, label), value(0))  # looking is no step
    made.train()
    for margin in (0, 0.25, 0.5, 0.5):
        torch.testing.assert_close(made(x, label), value(margin))
    made.eval()
    torch.testing.assert_close(made(x, label), value(0.5))
    torch.testing.assert_close(made.logits(x), head(ArcFace(scale=16), w).logits(x))


def test_a_schedule_moves_inside_a_wrapped_loss_too():
    x, label, w = problem()
    made = head(CenterLoss(base=IntraLoss(base=CosFace(margin=Cosine(0, 0.4, 1)), weight=0), weight=0), w).train()
    torch.testing.assert_close(made(x, label), head(CosFace(margin=0), w)(x, label))
    torch.testing.assert_close(made(x, label), head(CosFace(margin=0.4), w)(x, label))


def test_a_head_saved_in_the_middle_of_a_schedule_goes_on_from_there():
    x, label, w = problem()
    loss = ArcFace(margin=Linear(0, 0.5, 10))
    made = head(loss, w).train()
    for _ in range(4):
        made(x, label)
    again = PrototypeHead(loss, 5, 6).double()
    again.load_state_dict(made.state_dict())
    assert torch.equal(again(x, label), made(x, label))


def test_sphereface_begins_as_softmax_and_ends_as_a_margin():
    """λ = 1000 leaves a thousandth of ψ; at λ = 5 it is a sixth."""
    x, label, w = problem()
    made = head(SphereFace(easing=Decay(1000, 5, rate=0.12, power=1)), w)
    torch.testing.assert_close(made(x, label), head(SphereFace(easing=1000), w)(x, label))
    made.step.fill_(28_000)
    torch.testing.assert_close(made(x, label), head(SphereFace(easing=5), w)(x, label))
