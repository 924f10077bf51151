"""A loss as a flat list of named values: every loss, and every loss around every base, goes there and back."""

import json

import pytest
from cases import name, variants

from losslab import ArcFace, CenterLoss, CosFace, IntraLoss, KappaFace, Linear, Softmax, Triplet
from losslab.catalogue import knobs as declared
from losslab.losses import bases, catalogue, kind, knobs, make, plain, settings, starting, turned

TERMS = [loss for loss in catalogue() if "base" in declared(catalogue()[loss])]
every = pytest.mark.parametrize("loss", variants(), ids=name)


@every
def test_settings_make_an_equal_loss_again(loss):
    flat = settings(loss)
    assert list(flat) == list(knobs(loss))
    assert make(type(loss).__name__, **flat) == loss
    assert make(type(loss).__name__.upper(), **json.loads(json.dumps(plain(flat)))) == loss


@pytest.mark.parametrize("term", TERMS)
@pytest.mark.parametrize("base", bases())
def test_every_term_goes_around_every_base(term, base):
    loss = make(term, base=base)
    assert loss.base == make(base) or base == type(make(term).base).__name__
    assert {f"base_{knob}" for knob in knobs(loss.base)} < set(settings(loss))
    assert make(term, **settings(loss)) == loss


def test_terms_may_be_nested_and_scheduled():
    loss = IntraLoss(base=CenterLoss(base=KappaFace(margin=Linear(0, 0.5, 1234567)), weight=0.01))
    flat = json.loads(json.dumps(plain(settings(loss))))
    assert flat["base_base_margin"] == "Linear(0, 0.5, 1234567)"
    assert make("IntraLoss", **flat) == loss


def test_bases_are_the_losses_with_prototypes_that_are_no_terms():
    assert {"Softmax", "ArcFace", "KappaFace"} <= set(bases())
    assert not {"Triplet", "CenterLoss", "IntraLoss"} & set(bases())
    assert knobs(CenterLoss())["base"].choices == bases() and knobs(CenterLoss())["base"].default == "Softmax"


def test_turning_changes_only_what_is_named():
    loss = IntraLoss(base=ArcFace(scale=30, margin=0.2), weight=0.3)
    assert turned(loss, {"weight": 0.5, "base_margin": 0.4}) == IntraLoss(
        base=ArcFace(scale=30, margin=0.4), weight=0.5
    )
    assert turned(loss, {"base": "ArcFace"}) == loss  # the same base keeps its knobs
    assert turned(loss, {"base": "CosFace", "base_margin": 0.1}) == IntraLoss(base=CosFace(margin=0.1), weight=0.3)
    assert turned(loss, {"base": CosFace(scale=20)}).base == CosFace(scale=20)
    assert turned(loss, {}) == loss


@pytest.mark.parametrize("loss", catalogue().values(), ids=lambda kind: kind.__name__)
def test_every_loss_starts_with_knobs_for_a_small_sphere_or_with_the_papers(loss):
    small, paper = starting(loss), starting(loss, small=False)
    assert paper == loss()
    now, flat = settings(small), settings(paper)
    toy = loss.card.toy
    assert toy.keys() <= now.keys()
    assert now == {**flat, **toy}
    assert starting(loss.__name__) == small


def test_starting_around_another_base_starts_that_base_too():
    assert starting("CenterLoss", "ArcFace").base == starting("ArcFace")
    assert starting("CenterLoss", "ArcFace", small=False) == CenterLoss(base=ArcFace())
    assert starting("IntraLoss", "ArcFace") == starting("IntraLoss")
    assert starting("CosFace", "ArcFace") == starting("CosFace")


def test_names_are_found_in_either_case():
    assert kind("arcface") is ArcFace and kind("SOFTMAX") is Softmax


@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (lambda: make("ArcFase"), "There is no loss called 'ArcFase'; there are Softmax"),
        (lambda: make("arcface", m=1), "ArcFace has no knob called 'm'; it has scale, margin, gradient, beyond."),
        (lambda: make("P2SGrad", scale=1), "P2SGrad has no knob called 'scale'; it has none."),
        (lambda: make("ArcFace", base="CosFace"), "ArcFace has no knob called 'base'; it has scale,"),
        # Also next to another base, a knob of the base needs its prefix.
        (
            lambda: make("CenterLoss", base="ArcFace", margin=0.3),
            "CenterLoss has no knob called 'margin'; it has base,",
        ),
        (lambda: make("CenterLoss", base_m=1), "Softmax has no knob called 'm'; it has none."),
        (lambda: make("IntraLoss", base_margin=9), "margin is 9, but it must be from 0 to 1.5 rad."),
        (lambda: make("CenterLoss", base="ArcFase"), "base is 'ArcFase', but it must be one of Softmax, "),
        (lambda: make("CenterLoss", base="Triplet"), "base is 'Triplet', but it must be one of Softmax, "),
        (lambda: make("CenterLoss", base=5), "base is 5, but it must be one of Softmax, "),
        (lambda: CenterLoss(base=Triplet()), "base is Triplet("),
        (lambda: CenterLoss(base="ArcFace"), "base is 'ArcFace', but it must be a loss with prototypes"),
        (lambda: make("ArcFace", margin="Linear(0, 9, 10)"), "margin is 9, but it must be from 0 to 1.5 rad."),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(build, sentence):
    with pytest.raises(ValueError) as error:
        build()
    assert str(error.value).startswith(sentence) and str(error.value).endswith(".")
