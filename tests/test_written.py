"""A loss as text: every loss goes there and back, and nothing else is read."""

import random

import pytest
from cases import name, variants

from losslab import ArcFace, CenterLoss, CosFace, Cosine, Decay, IntraLoss, KappaFace, Linear
from losslab.catalogue import Knob
from losslab.losses import bases, catalogue, knobs, make, read, settings, starting, title, turned, wraps, written


def anything(knob: Knob, draw: random.Random) -> object:
    """Some value that a knob may have."""
    if knob.choices:
        return draw.choice(knob.choices)
    if isinstance(knob.default, bool):
        return draw.random() < 0.5
    low = 0 if knob.low is None else knob.low
    high = low + 100 if knob.high is None else knob.high
    if isinstance(knob.default, int):
        return draw.randint(int(low), int(high))
    ends = sorted(draw.uniform(low, high) for _ in range(2))
    schedules = [Linear(*ends, 77), Cosine(*reversed(ends), steps=10**6)]
    if ends[0] >= 0:
        schedules.append(Decay(ends[1], ends[0], 0.12, 1.5))
    return draw.choice([ends[0], round(ends[1], 1), *schedules])


@pytest.mark.parametrize("loss", variants(), ids=name)
def test_every_loss_is_read_as_it_was_written(loss):
    assert read(written(loss)) == loss


@pytest.mark.parametrize("kind", catalogue())
def test_random_knobs_schedules_and_bases_come_back(kind):
    draw, tried = random.Random(kind), 0
    while tried < 30:
        loss = starting(kind, draw.choice(bases()), small=draw.random() < 0.5)
        flat = {name: anything(knob, draw) for name, knob in knobs(loss).items() if not name.endswith("base")}
        try:
            loss = turned(loss, {name: value for name, value in flat.items() if draw.random() < 0.5})
        except ValueError:
            continue  # a few knobs have a say in the range of others
        text, tried = written(loss), tried + 1
        assert read(text) == read(f"  {text}\n") == loss and "\n" not in text, title(loss)


def test_only_what_differs_from_the_class_is_written():
    assert written(ArcFace()) == "ArcFace()"
    assert written(ArcFace(margin=0.3, scale=16)) == "ArcFace(scale=16, margin=0.3)"
    assert written(CosFace(margin=Linear(0, 0.35, 100))) == "CosFace(margin=Linear(0, 0.35, 100))"
    assert written(IntraLoss(base=CosFace(margin=0.2))) == "IntraLoss(base='CosFace', base_margin=0.2)"
    nested = IntraLoss(base=CenterLoss(base=KappaFace(margin=0.3), weight=0.02))
    assert written(nested) == (
        "IntraLoss(base='CenterLoss', base_base='KappaFace', base_weight=0.02, base_base_margin=0.3)"
    )
    assert read(written(nested)) == nested


@pytest.mark.parametrize("kind", catalogue())
def test_a_name_alone_is_its_class(kind):
    assert read(kind) == read(kind.lower()) == read(f"{kind}()") == make(kind)
    if wraps(make(kind)):
        assert settings(read(f"{kind}(base='SphereFace')")) == settings(make(kind, base="SphereFace"))


def test_a_schedule_may_be_a_call_or_its_text():
    loss = ArcFace(margin=Linear(0, 0.5, 1000))
    assert read("ArcFace(margin=Linear(0, 0.5, steps=1000))") == read("ArcFace(margin='Linear(0, 0.5, 1000)')") == loss


HOSTILE = [
    "", " ", "ArcFace(", "ArcFace(0.5)", "ArcFace(*[])", "ArcFace(**{})", "ArcFace(margin=0.1, margin=0.2)",
    "losslab.ArcFace()", "ArcFace().margin", "ArcFace()()", "ArcFace or CosFace", "lambda: ArcFace()", "[ArcFace()]",
    "ArcFace(); CosFace()", "ArcFace(margin=None)", "ArcFace(margin=1j)", "ArcFace(margin=(1, 2))",
    "ArcFace(margin=f'{1}')", "ArcFace(beyond=b'raw')", "ArcFace(beyond='r' + 'aw')", "ArcFace(margin=0.1 * 2)",
    "ArcFace(margin=abs(-1))", "ArcFace(margin=__import__('os').system('ls'))", "ArcFace(margin=Linear)",
    "ArcFace(margin=Linear(0, __import__('os'), 3))", "ArcFace(margin=Linear(0, 9, 10))",
    "ArcFace(margin=Linear(0, 1))", "ArcFace(margin=...)",
    "ArcFace(margin=1e999)", f"ArcFace(margin={'9' * 400})", "ArcFace(margin='wide')", "ArcFace(margin=True)",
    "ArcFace(beyond='\\n')", "ArcFace(m=1)", "ArcFace(base='CosFace')", "CenterLoss(base='Triplet')",
    "CenterLoss(base=CosFace())", "CenterLoss(base=5)", "ArcFaze", "ArcFace\0", "\ud800", "(" * 1000,
    "[" * 300 + "]" * 300, f"ArcFace(margin={'-' * 1900}1)", f"ArcFace(margin=Linear({'-' * 900}1, 1, 2))",
    "x" * 1_000_000, f"ArcFace(margin={'(' * 90}1{')' * 90}, {'base_' * 300}margin=1)",
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: repr(text[:30]))
def test_whatever_is_no_loss_is_one_sentence(text):
    with pytest.raises(ValueError) as refused:
        read(text)
    sentence = str(refused.value)
    assert sentence.endswith(".") and "\n" not in sentence and len(sentence) < 4000
