"""What must hold whatever the numbers: reductions to one another, symmetries, ElasticFace's draws, bad input."""

from dataclasses import replace

import pytest
import torch
from cases import head, name, problem, variants

from losslab import ArcFace, CosFace, ElasticFace, NormFace, PrototypeHead, SphereFace
from losslab.catalogue import knobs
from losslab.losses import catalogue, make

every = pytest.mark.parametrize("loss", variants(), ids=name)


@pytest.mark.parametrize(
    "loss",
    [ArcFace(margin=0), CosFace(margin=0), ElasticFace(margin=0, spread=0), ArcFace(margin=0, gradient="detached")],
    ids=name,
)
def test_margin_zero_is_normface(loss):
    x, label, w = problem()
    torch.testing.assert_close(head(loss, w)(x, label), head(NormFace(), w)(x, label), rtol=0, atol=1e-12)


@pytest.mark.parametrize("variant, plain", [("arc", ArcFace(margin=0.3)), ("cos", CosFace(margin=0.3))])
@pytest.mark.parametrize("in_order", [False, True])
def test_spread_zero_is_the_fixed_margin_bit_for_bit(variant, plain, in_order):
    x, label, w = problem()
    elastic = head(ElasticFace(margin=0.3, spread=0, variant=variant, sorted=in_order), w).train()
    assert torch.equal(elastic(x, label), head(plain, w)(x, label))


def test_sphereface_margin_one_is_softmax_with_unit_prototypes():
    from torch.nn.functional import cross_entropy, normalize

    x, label, w = problem()
    want = cross_entropy(x @ normalize(w).T, label, reduction="none")
    torch.testing.assert_close(head(SphereFace(margin=1), w)(x, label), want)


@every
def test_turning_space_changes_nothing(loss):
    x, label, w = problem()
    turn = torch.linalg.qr(torch.randn(5, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1)))[0]
    torch.testing.assert_close(head(loss, w)(x, label), head(loss, w @ turn)(x @ turn, label))


@every
def test_renaming_classes_changes_nothing(loss):
    x, label, w = problem()
    new = torch.randperm(len(w), generator=torch.Generator().manual_seed(2))
    renamed = torch.empty_like(w)
    renamed[new] = w
    torch.testing.assert_close(head(loss, w)(x, label), head(loss, renamed)(x, new[label]))


@every
def test_only_directions_count_where_the_loss_normalises(loss):
    x, label, w = problem()
    value = head(loss, w)(x, label)
    longer = head(loss, 5 * w)(x, label)
    assert torch.allclose(value, longer) is not loss.weighs_length
    if "scale" in knobs(loss):
        torch.testing.assert_close(value, head(loss, w)(0.01 * x, label))
    else:
        assert not torch.allclose(value, head(loss, w)(2 * x, label))


# "raw" and "keep" let the margin fold back past 180 degrees, on purpose.
MONOTONE = [x for x in variants() if "margin" in knobs(x) and getattr(x, "beyond", "") not in ("raw", "keep")]


@pytest.mark.parametrize("loss", MONOTONE, ids=name)
def test_a_larger_margin_never_lowers_the_loss(loss):
    x, label, w = problem(batch=200, dim=3)
    low = knobs(loss)["margin"].low
    values = [head(replace(loss, margin=low + m), w)(x, label) for m in (0, 0.2, 0.4)]
    assert (values[1] >= values[0] - 1e-9).all() and (values[2] >= values[1] - 1e-9).all()


@every
def test_the_gap_is_positive_minus_best_negative(loss):
    x, label, w = problem(batch=40, dim=2)
    made = head(loss, w)
    a = made.angles(x, label)
    negative = loss.negative(a)
    best = torch.stack([negative[i][torch.arange(len(w)) != y].max() for i, y in enumerate(label)])
    torch.testing.assert_close(made.gap(x, label), (loss.positive(a) - best).detach())


@every
def test_curves_are_the_loss_at_an_angle(loss):
    angle = torch.linspace(0.05, 3.1, 60, dtype=torch.float64)
    made = head(loss, [[1, 0], [0, 1]])
    a = made.angles(torch.stack([angle.cos(), angle.sin()], 1), torch.zeros(60, dtype=torch.long))
    positive, negative = loss.curves(angle)
    torch.testing.assert_close(positive, loss.positive(a).detach())
    torch.testing.assert_close(negative, loss.negative(a)[:, 0].detach())


# ElasticFace's draws


def margins(loss, target, seed=0):
    target = torch.as_tensor(target, dtype=torch.float64)
    w = torch.tensor([[1.0, 0], [0, 1]], dtype=torch.float64)
    made = PrototypeHead(loss, 2, 2, seed=seed).double()
    made.prototypes.data = w
    x = torch.stack([target, (1 - target**2).sqrt()], 1)
    return loss.margins(made.angles(x, torch.zeros(len(x), dtype=torch.long), made.draw))


def test_sorted_gives_the_largest_margin_to_the_farthest_sample():
    target = torch.rand(64, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    got = margins(ElasticFace(sorted=True), target)
    assert torch.equal(got.argsort(), target.argsort(descending=True))


def test_sorted_pairing_is_not_its_inverse(monkeypatch):
    """Targets 0.1, 0.9, 0.5 are no involution: they tell the described pairing from its inverse."""
    loss = ElasticFace(margin=0, spread=0.5, sorted=True)
    monkeypatch.setattr(torch, "randn", lambda *_, **__: torch.tensor([0.9, 1.0, 1.1], dtype=torch.float64))
    assert margins(loss, [0.1, 0.9, 0.5]).tolist() == pytest.approx([0.55, 0.45, 0.5])


def test_sorting_only_changes_who_gets_which_margin():
    target = torch.rand(50, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    plain, ordered = margins(ElasticFace(), target), margins(ElasticFace(sorted=True), target)
    assert torch.equal(plain.sort().values, ordered.sort().values) and not torch.equal(plain, ordered)


def test_draws_have_the_stated_mean_and_spread_and_are_fresh_each_time():
    loss = ElasticFace(margin=0.5, spread=0.05)
    got = margins(loss, torch.zeros(20_000))
    assert got.mean().item() == pytest.approx(0.5, abs=2e-3) and got.std().item() == pytest.approx(0.05, abs=2e-3)
    made = PrototypeHead(loss, 2, 2, seed=0)
    x, label = torch.randn(9, 2), torch.zeros(9, dtype=torch.long)
    assert not torch.equal(made(x, label), made(x, label))
    made.eval()
    assert torch.equal(made(x, label), made(x, label))


def test_one_sample_sorted_is_one_sample_plain():
    assert torch.equal(margins(ElasticFace(), [0.3]), margins(ElasticFace(sorted=True), [0.3]))


# The catalogue and bad input


def test_the_catalogue_describes_every_loss():
    assert {"Softmax", "NormFace", "SphereFace", "CosFace", "ArcFace", "ElasticFace"} <= set(catalogue())
    for loss in catalogue().values():
        card = loss.card
        assert card.title and card.paper and card.formula and card.geometry.endswith(".") and 1950 < card.year < 2030
        for knob in knobs(loss).values():
            assert knob.help.endswith(".")
            assert knob.choices or isinstance(knob.default, bool) or (knob.symbol and knob.low < knob.high)
        assert hash(loss()) == hash(loss()) and loss() == loss()


def test_whole_numbers_and_decimals_are_the_same_loss():
    assert ArcFace(scale=64) == ArcFace(scale=64.0) and repr(ArcFace(scale=64)) == repr(ArcFace(scale=64.0))


@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (lambda: ArcFace(margin=9), "margin is 9, but it must be from 0 to 1.5 rad."),
        (lambda: ArcFace(margin=float("nan")), "margin is nan, but it must be a finite number from 0 to 1.5 rad."),
        (lambda: ArcFace(beyond="up"), "beyond is 'up', but it must be one of monotone, raw, clip, keep."),
        (lambda: ElasticFace(sorted="no"), "sorted is 'no', but it must be true or false."),
        (lambda: make("ArcFase"), "There is no loss called 'ArcFase'; there are Softmax"),
        (lambda: make("arcface", m=1), "ArcFace has no knob called 'm'; it has scale, margin, gradient, beyond."),
        (lambda: PrototypeHead(ArcFace(), 0, 3), "A head needs at least 1 dimension and 1 class"),
    ],
)
def test_a_bad_knob_gets_one_sentence(build, sentence):
    with pytest.raises(ValueError) as error:
        build()
    assert str(error.value).startswith(sentence)


@pytest.mark.parametrize(
    ("x", "label", "sentence"),
    [
        (torch.zeros(2, 3), torch.tensor([0, 6]), "Labels must run from 0 to 5; these run from 0 to 6."),
        (torch.zeros(2, 3), torch.tensor([-1, 0]), "Labels must run from 0 to 5; these run from -1 to 0."),
        (torch.zeros(2, 3), torch.tensor([0.0, 1]), "Labels must be int64 [2]"),
        (torch.zeros(2, 3), torch.tensor([0]), "Labels must be int64 [2]"),
        (torch.zeros(2, 4), torch.tensor([0, 1]), "Embeddings must be floating point [batch, 3]"),
        (torch.zeros(2, 3, dtype=torch.long), torch.tensor([0, 1]), "Embeddings must be floating point [batch, 3]"),
    ],
)
def test_a_bad_batch_gets_one_sentence(x, label, sentence):
    with pytest.raises(ValueError) as error:
        PrototypeHead(ArcFace(), 3, 6)(x, label)
    assert str(error.value).startswith(sentence)
