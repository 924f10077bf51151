"""What must hold whatever the numbers: reductions to one another, symmetries, presets, draws, the catalogue itself."""

import math
from dataclasses import replace

import pytest
import torch
from cases import head, name, of_pairs, problem, season, variants, with_prototypes

import losslab
from losslab import (
    AdaFace,
    ArcFace,
    Circle,
    CirclePair,
    CombinedMargin,
    CosFace,
    CurricularFace,
    DynArcFace,
    ElasticFace,
    InterFace,
    KappaFace,
    LiArcFace,
    LSoftmax,
    MagFace,
    MVSoftmax,
    NormFace,
    PrototypeHead,
    QAMFace,
    RangeLoss,
    Softmax,
    SphereFace,
    SphereFaceR,
    SubCenterArcFace,
    UniTSFace,
)
from losslab.catalogue import knobs
from losslab.geometry import angle
from losslab.losses import CODES, FAMILIES, Angles, Term, catalogue, draws, make, turned

near = torch.testing.assert_close
every = pytest.mark.parametrize("loss", variants(), ids=name)
TERMS = [kind for kind in catalogue().values() if issubclass(kind, Term)]
BEYOND = ("monotone", "raw", "clip", "keep", "easy")


def slopes(made, x, label):
    """Losses [b], and the gradients of their sum for embeddings and prototypes."""
    leaf = x.clone().requires_grad_()
    value = made(leaf, label)
    value.sum().backward()
    return value.detach(), leaf.grad, made.prototypes.grad


def alike(one, other, x, label, w, *, atol=1e-10):
    """The same values and the same gradients, for samples on both sides of 90 degrees."""
    for a, b in zip(slopes(head(one, w), x, label), slopes(head(other, w), x, label), strict=True):
        near(a, b, rtol=1e-9, atol=atol)


# Reductions

NO_MARGIN = [
    *(ArcFace(margin=0, beyond=beyond) for beyond in BEYOND),
    ArcFace(margin=0, gradient="detached"),
    AdaFace(margin=0),
    CombinedMargin(angular=0, cosine=0),
    CosFace(margin=0),
    DynArcFace(margin=0, slope=0),
    ElasticFace(margin=0, spread=0),
    ElasticFace(margin=0, spread=0, variant="cos"),
    InterFace(margin=0, reach=0),
    KappaFace(margin=0),
    MagFace(low=0, high=0, weight=0),
    MVSoftmax(margin=0, hardness=0),
    NormFace(learned=True),
    SphereFaceR(margin=1),
    SphereFaceR(margin=1, version="v2"),
    SubCenterArcFace(margin=0, subcentres=1),
]


@pytest.mark.parametrize("loss", NO_MARGIN, ids=name)
def test_without_its_margin_it_is_normface(loss):
    x, label, w = problem(batch=40, dim=3)
    alike(replace(loss, scale=16), NormFace(scale=16), x, label, w)


@pytest.mark.parametrize("beyond", BEYOND)
def test_multiplying_by_one_is_softmax(beyond):
    x, label, w = problem(batch=40, dim=3)
    alike(LSoftmax(margin=1, beyond=beyond), Softmax(), x, label, w)
    value = head(SphereFace(margin=1, beyond=beyond), w)(x, label)
    near(value, head(Softmax(), torch.nn.functional.normalize(w))(x, label))


@pytest.mark.parametrize("loss", [x for x in variants() if type(x) is SphereFace], ids=name)
def test_lsoftmax_with_unit_prototypes_is_sphereface(loss):
    x, label, w = problem(batch=40, dim=3)
    shared = {field: getattr(loss, field) for field in knobs(LSoftmax)}
    near(
        head(LSoftmax(**shared), torch.nn.functional.normalize(w))(x, label),
        head(loss, w)(x, label),
    )


@pytest.mark.parametrize(("variant", "plain"), [("arc", ArcFace(margin=0.3)), ("cos", CosFace(margin=0.3))])
@pytest.mark.parametrize("in_order", [False, True])
def test_elasticface_without_spread_is_the_fixed_margin_bit_for_bit(variant, plain, in_order):
    x, label, w = problem()
    elastic = head(ElasticFace(margin=0.3, spread=0, variant=variant, sorted=in_order), w).train()
    assert torch.equal(elastic(x, label), head(plain, w)(x, label))


@pytest.mark.parametrize("beyond", BEYOND)
def test_margins_that_adapt_to_nothing_are_fixed(beyond):
    x, label, w = problem(batch=40, dim=3)
    arc = ArcFace(margin=0.4, beyond=beyond)
    alike(KappaFace(margin=0.4, beyond=beyond), arc, x, label, w)
    alike(SubCenterArcFace(margin=0.4, beyond=beyond, subcentres=1), arc, x, label, w)
    alike(MagFace(low=0.4, high=0.4, weight=0, beyond=beyond), arc, x, label, w)
    alike(AdaFace(margin=0.4, spread=0, beyond=beyond), CosFace(margin=0.4), x, label, w)
    for mode in ("cc", "dc", "dd"):
        alike(InterFace(margin=0.4, reach=0, mode=mode, beyond=beyond), arc, x, label, w)
    alike(MVSoftmax(margin=0.4, hardness=0, variant="arc", beyond=beyond), replace(arc, scale=32), x, label, w)


def test_a_combined_margin_of_one_kind_is_that_margin():
    x, label, w = problem(batch=40, dim=3)
    alike(CombinedMargin(angular=0, cosine=0.3), CosFace(margin=0.3), x, label, w)
    for beyond in ("raw", "clip", "keep", "easy"):  # the two ways of going on falling differ
        alike(CombinedMargin(angular=0.4, cosine=0, beyond=beyond), ArcFace(margin=0.4, beyond=beyond), x, label, w)
    for beyond in BEYOND:
        combined = CombinedMargin(scale=30, times=1.4, angular=0, cosine=0, beyond=beyond)
        alike(combined, SphereFaceR(scale=30, margin=1.4, beyond=beyond), x, label, w)


@pytest.mark.parametrize("loss", [x for x in variants() if isinstance(x, Term)], ids=name)
@pytest.mark.parametrize("base", [None, Softmax(), KappaFace(margin=0.4)], ids=["own", "Softmax", "KappaFace"])
def test_a_term_of_weight_zero_is_its_base(loss, base):
    x, label, w = problem(batch=30, dim=3)
    loss = replace(loss, weight=0, base=base or loss.base)
    alike(loss, loss.base, x, label, w)


def test_hard_classes_change_nothing_where_there_are_none():
    """Samples on their own prototypes, which stand at right angles."""
    w, label = torch.eye(4, dtype=torch.float64), torch.arange(4)
    x = w + 0.1 * torch.roll(w, 1, 0)
    alike(CurricularFace(), ArcFace(), x, label, w)
    alike(MVSoftmax(scale=64), CosFace(), x, label, w)


def test_circle_of_pairs_with_prototypes_as_samples_is_circle_of_classes():
    x, label, w = problem(batch=5)
    samples, labels = torch.cat([x, w]), torch.cat([label, torch.arange(len(w))])
    for i, y in enumerate(label):
        alone = torch.cat([torch.tensor([i]), torch.arange(len(x), len(samples))])
        pairs = head(CirclePair(scale=16), w)(samples[alone], labels[alone])
        near(pairs[0], head(Circle(scale=16), w)(x[i : i + 1], y[None])[0])


def test_unitsface_is_its_base_until_the_first_epoch_is_over():
    x, label, w = problem()
    made = head(UniTSFace(), w).train()
    base = head(UniTSFace().base, w)(x, label)
    for _ in range(2):
        near(made(x, label), base)
    made.end_epoch()
    assert (made(x, label) > base).all()


@pytest.mark.parametrize("loss", [QAMFace(margin=0.3), LiArcFace(margin=0.3)], ids=name)
def test_logits_of_the_angle_have_the_boundary_of_arcface(loss):
    x, label, w = problem(batch=300, dim=3)
    made = head(loss, w)
    theta = angle(made.angles(x, label).cosine).detach()
    own = theta.gather(1, label[:, None]).squeeze(1)
    best = theta.scatter(1, label[:, None], 9).amin(1)
    assert torch.equal(made.gap(x, label) > 0, own + 0.3 < best)
    assert 20 < (made.gap(x, label) > 0).sum() < 280
    near_arc = head(ArcFace(margin=0.3), w).gap(x, label) > 0
    assert torch.equal(near_arc, own + 0.3 < best)


@pytest.mark.parametrize("base", [KappaFace(), AdaFace(), losslab.AdaCos(), CurricularFace()], ids=name)
@pytest.mark.parametrize("term", TERMS, ids=lambda kind: kind.__name__)
def test_what_a_base_keeps_is_kept_inside_a_term_too(term, base):
    x, label, w = problem()
    wrapped = season(head(term(base=base), w), x, label).memory.base.state_dict()
    alone = season(head(base, w), x, label).memory.state_dict()
    fresh = head(base, w).memory.state_dict()
    assert all(torch.equal(wrapped[key], alone[key]) for key in alone)
    assert any(not torch.equal(fresh[key], alone[key]) for key in alone)


# Symmetries


def like(made, move):
    """A head of the same loss with `move` applied to everything that it holds."""
    other = head(made.loss, torch.zeros_like(made.prototypes), classes=made.classes)
    other.load_state_dict({key: move(value) for key, value in made.state_dict().items()})
    return other


def same_values(made, other, one, two):
    """Looking and training, now and after what they keep has changed once more."""
    near(made(*one), other(*two))
    for each in (made, other):
        each.train()
    for _ in range(2):
        near(made(*one), other(*two))
        for each in (made, other):
            each.end_epoch()


@every
def test_turning_space_changes_nothing(loss):
    x, label, w = problem()
    turn = torch.linalg.qr(torch.randn(5, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1)))[0]
    made = season(head(loss, w), x, label)
    other = like(made, lambda value: value @ turn if value.shape[-1:] == (5,) else value)
    same_values(made, other, (x, label), (x @ turn, label))


@every
def test_renaming_classes_changes_nothing(loss):
    x, label, w = problem()
    new = torch.randperm(6, generator=torch.Generator().manual_seed(2))
    made = season(head(loss, w), x, label)

    def renamed(value):
        if not value.ndim or len(value) % 6:
            return value
        by_class = value.unflatten(0, (6, -1))
        return torch.empty_like(by_class).index_copy(0, new, by_class).flatten(0, 1)

    same_values(made, like(made, renamed), (x, label), (x, new[label]))


@every
def test_the_order_of_a_batch_changes_nothing(loss):
    x, label, w = problem()
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(3))
    made = season(head(loss, w), x, label)
    near(made(x, label)[order], made(x[order], label[order]))


# A term's own use of lengths shows only around a base that has none.
FLAT = [replace(loss, base=NormFace()) for loss in variants() if isinstance(loss, Term)]


@pytest.mark.parametrize("loss", variants() + FLAT, ids=name)
def test_lengths_of_embeddings_count_exactly_where_a_loss_says_so(loss):
    x, label, w = problem()
    made = season(head(loss, w), x, label)
    same = torch.allclose(made(x, label), made(2.5 * x, label), rtol=1e-9, atol=1e-12)
    assert same is not loss.weighs_norm


@pytest.mark.parametrize("loss", variants() + FLAT, ids=name)
def test_lengths_of_prototypes_count_exactly_where_a_loss_says_so(loss):
    x, label, w = problem()
    made = season(head(loss, w), x, label)
    other = like(made, lambda value: value)
    other.prototypes.data *= torch.linspace(0.2, 3, len(other.prototypes), dtype=torch.float64)[:, None]
    same = torch.allclose(made(x, label), other(x, label), rtol=1e-9, atol=1e-12)
    assert same is not loss.weighs_length


# What grows with what

MARGINS = ("margin", "angular", "cosine", "times", "low", "high")


def falls(loss):
    """ "raw" and "keep" let the margin fold back past 180 degrees, on purpose."""
    return getattr(loss, "beyond", "monotone") not in ("raw", "keep")


# CurricularFace plays the classes down that its margin makes hard; Circle's m relaxes.
PRESSING = [
    (loss, field)
    for loss in variants()
    for field in MARGINS
    if field in knobs(loss) and falls(loss) and not isinstance(loss, CurricularFace | Circle | CirclePair)
]


@pytest.mark.parametrize(("loss", "field"), PRESSING, ids=[f"{name(loss)}:{field}" for loss, field in PRESSING])
def test_a_larger_margin_never_lowers_the_loss(loss, field):
    x, label, w = problem(batch=60, dim=3)
    knob = knobs(loss)[field]
    made = season(head(loss, w), x, label)
    values = []
    far = max(0.4, 0.04 * knob.high)  # RangeLoss's is a length of any size, the others' are angles and cosines
    for more in (0, far / 2, far):
        made.loss = replace(loss, **{field: min(knob.low + more, knob.high)})
        values.append(made(x, label))
    assert (values[1] >= values[0] - 1e-9).all() and (values[2] >= values[1] - 1e-9).all()
    assert (values[2] > values[0]).any()


@pytest.mark.parametrize("kind", [Circle, CirclePair])
def test_a_larger_margin_of_circle_relaxes(kind):
    x, label, w = problem(batch=60, dim=3)
    tight, wide = (head(kind(scale=16, margin=margin), w)(x, label) for margin in (0.1, 0.3))
    assert (wide <= tight).all() and (wide < tight).any()


FALLING = [loss for loss in variants() if getattr(loss, "beyond", "monotone") in ("monotone", "clip")]


@pytest.mark.parametrize("loss", FALLING, ids=name)
def test_the_own_curve_never_rises_with_the_angle_nor_another_s(loss):
    x, label, w = problem(dim=3)
    made = season(head(loss, w), x, label)
    positive, negative = made.curves(torch.linspace(0, math.pi, 400, dtype=torch.float64), norm=5)
    assert (positive.diff(dim=1) <= 1e-9).all()
    if loss.pointwise and not isinstance(loss, Circle | CirclePair):  # there, other cosines should be 0, not −1
        assert (negative.diff() <= 1e-9).all()


# The gap and the curves


@every
def test_the_gap_is_positive_minus_best_negative(loss):
    x, label, w = problem(batch=40, dim=2)
    made = season(head(loss, w), x, label)
    a = made.angles(x, label)
    negative = loss.negative(a)
    best = torch.stack([negative[i][torch.arange(len(w)) != y].max() for i, y in enumerate(label)])
    near(made.gap(x, label), (loss.positive(a) - best).detach())


@every
def test_curves_are_what_a_sample_at_that_angle_meets(loss):
    theta = torch.linspace(0.05, 3.1, 40, dtype=torch.float64)
    axes = torch.tensor([0, 2, 3.5], dtype=torch.float64)
    w = torch.stack([axes.cos(), axes.sin()], 1)
    x, label, _ = problem(batch=20, dim=2, classes=3)
    made = season(head(loss, w.repeat_interleave(loss.subcentres, 0), classes=3), x, label)
    made.prototypes.data = w.repeat_interleave(loss.subcentres, 0)
    positive, negative = made.curves(theta, norm=2)
    for c in range(3):
        away = axes[c] + theta
        at = 2 * torch.stack([away.cos(), away.sin()], 1)
        a = made.angles(at, torch.full((40,), c))
        near(positive[c], loss.positive(a).detach())
        if loss.pointwise and c == 2:  # as another class now
            a = made.angles(at, torch.zeros(40, dtype=torch.long))
            near(negative, loss.negative(a)[:, c].detach())


@pytest.mark.parametrize("loss", with_prototypes(), ids=name)
def test_inference_ranks_without_margins(loss):
    x, label, w = problem()
    made = season(head(loss, w), x, label)
    logits, a = made.logits(x), made.angles(x, label)
    base = loss
    while isinstance(base, Term):
        base = base.base
    bare = a.norm[:, None] * a.length * a.cosine if base.weighs_length else a.cosine
    ratio = logits / bare
    near(ratio, ratio[:, :1].expand_as(ratio))  # one factor for a sample
    assert (ratio > 0).all()


# Presets: what known codes do, each written out here a second time

ANGULAR = {
    "insightface": (lambda theta, m: (theta + m).cos(), True),
    "opensphere": (lambda theta, m: (theta + m).clamp(max=math.pi).cos(), True),
    "adaface": (lambda theta, m: (theta + m).clamp(max=math.pi).cos(), False),
    "elasticface": (lambda theta, m: (theta + m).cos(), False),
    "pytorch-metric-learning": (
        lambda theta, m: torch.where(theta <= math.pi - m, (theta + m).cos(), theta.cos() - m * math.sin(m)),
        False,
    ),
    "tface": (
        lambda theta, m: torch.where(theta <= math.pi - m, (theta + m).cos(), theta.cos() - m * math.sin(m)),
        False,
    ),
    "facex-zoo": (lambda theta, m: torch.where(theta <= math.pi - m, (theta + m).cos(), theta.cos()), False),
}


@pytest.mark.parametrize("code", CODES)
def test_a_preset_has_the_values_and_gradients_of_its_code(code):
    bend, through = ANGULAR[code]
    x, label, w = problem(batch=60, dim=3)
    x, w = x.requires_grad_(), w.requires_grad_()
    cosine = torch.nn.functional.normalize(x) @ torch.nn.functional.normalize(w).T
    target = cosine.gather(1, label[:, None])
    bent = bend(target.acos(), 0.5)
    if through:  # the margin is applied where no gradient is recorded
        bent = target + (bent - target).detach()
    logits = 16 * cosine.scatter(1, label[:, None], bent)
    value = torch.nn.functional.cross_entropy(logits, label, reduction="none")
    assert (target.acos() > math.pi - 0.5).sum() > 2  # past the edge, where codes disagree
    want = value.detach(), *torch.autograd.grad(value.sum(), (x, w))
    made = head(ArcFace(scale=16, like=code), w.detach())
    for got, wanted in zip(slopes(made, x.detach(), label), want, strict=True):
        near(got, wanted, rtol=0, atol=1e-9)


def test_a_detached_margin_on_the_other_classes_has_the_slope_of_their_cosines():
    x, label, w = problem(batch=60, dim=3)
    x, w = x.requires_grad_(), w.requires_grad_()
    cosine = torch.nn.functional.normalize(x) @ torch.nn.functional.normalize(w).T
    bent = cosine + ((cosine.acos() / 1.4).cos() - cosine).detach()
    bent = bent.scatter(1, label[:, None], cosine.gather(1, label[:, None]))
    value = torch.nn.functional.cross_entropy(16 * bent, label, reduction="none")
    want = value.detach(), *torch.autograd.grad(value.sum(), (x, w))
    made = head(SphereFaceR(scale=16, margin=1.4, version="v2", gradient="detached"), w.detach())
    for got, wanted in zip(slopes(made, x.detach(), label), want, strict=True):
        near(got, wanted, rtol=0, atol=1e-9)


ANGLED = [kind for kind in catalogue().values() if {"gradient", "beyond"} <= set(knobs(kind))]


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("kind", ANGLED, ids=lambda kind: kind.__name__)
def test_every_margin_on_an_angle_takes_every_preset(kind, code):
    loss = kind(like=code)
    assert (loss.gradient, loss.beyond) == CODES[code]
    assert loss == replace(kind(), gradient=loss.gradient, beyond=loss.beyond)


@pytest.mark.parametrize("kind", [x for x in catalogue().values() if x not in ANGLED], ids=lambda kind: kind.__name__)
def test_a_loss_without_such_a_margin_refuses_presets(kind):
    with pytest.raises(ValueError, match=f"^{kind.__name__} has no margin on an angle, so like='adaface' says nothing"):
        kind(like="adaface")


# ElasticFace's draws


def margins(loss, target, seed=0, step=0):
    target = torch.as_tensor(target, dtype=torch.float64)
    made = PrototypeHead(loss, 2, 2, seed=seed).double()
    made.prototypes.data = torch.eye(2, dtype=torch.float64)
    made.step.fill_(step)
    x = torch.stack([target, (1 - target**2).sqrt()], 1)
    return loss.margins(made.angles(x, torch.zeros(len(x), dtype=torch.long)))


def test_sorted_gives_the_largest_margin_to_the_farthest_sample():
    target = torch.rand(64, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    got = margins(ElasticFace(sorted=True), target)
    assert torch.equal(got.argsort(), target.argsort(descending=True))  # rank correlation −1


@pytest.mark.parametrize(("pairing", "want"), [("described", [0.55, 0.45, 0.50]), ("as_released", [0.50, 0.55, 0.45])])
def test_the_released_pairing_is_the_inverse_of_the_described_one(monkeypatch, pairing, want):
    """Targets 0.1, 0.9, 0.5 are no involution: they tell the two apart."""
    drawn = torch.tensor([0, 1, -1], dtype=torch.float64)
    monkeypatch.setattr(Angles, "normal", lambda _: drawn)
    loss = ElasticFace(margin=0.5, spread=0.05, sorted=True, pairing=pairing)
    assert margins(loss, [0.1, 0.9, 0.5]).tolist() == pytest.approx(want)


def test_the_released_pairing_is_as_good_as_random():
    target = torch.rand(4000, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    got = margins(ElasticFace(sorted=True, pairing="as_released"), target)
    ranks = torch.stack([target.argsort().argsort(), got.argsort().argsort()]).double()
    assert abs(torch.corrcoef(ranks)[0, 1].item()) < 0.08


@pytest.mark.parametrize("pairing", ["described", "as_released"])
def test_sorting_only_changes_who_gets_which_margin(pairing):
    target = torch.rand(50, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    plain, ordered = margins(ElasticFace(), target), margins(ElasticFace(sorted=True, pairing=pairing), target)
    assert torch.equal(plain.sort().values, ordered.sort().values) and not torch.equal(plain, ordered)
    assert torch.equal(margins(ElasticFace(pairing=pairing), [0.3]), margins(ElasticFace(sorted=True), [0.3]))


def test_draws_have_the_stated_mean_and_spread():
    got = margins(ElasticFace(margin=0.5, spread=0.05), torch.zeros(20_000))
    assert got.mean().item() == pytest.approx(0.5, abs=2e-3) and got.std().item() == pytest.approx(0.05, abs=2e-3)


def test_draws_follow_from_seed_and_step_alone():
    loss, target = ElasticFace(), torch.linspace(-0.9, 0.9, 40)
    assert torch.equal(margins(loss, target), margins(loss, target))
    assert not torch.equal(margins(loss, target), margins(loss, target, seed=1))
    assert not torch.equal(margins(loss, target), margins(loss, target, step=1))


def test_draws_are_fresh_at_each_step_and_their_mean_where_nothing_is_learned():
    x, label, w = problem()
    made, again = (head(ElasticFace(), w).train() for _ in range(2))
    first, second = made(x, label), made(x, label)
    assert not torch.equal(first, second)
    assert torch.equal(first, again(x, label)) and torch.equal(second, again(x, label))
    assert torch.equal(made.eval()(x, label), head(ArcFace(), w)(x, label))


def test_draws_are_normal_and_do_not_depend_on_how_many_there_are():
    seed, step = torch.tensor(7), torch.tensor(123456)
    many = draws.normal(seed, step, 100_000, torch.float64)
    assert torch.equal(many[:10], draws.normal(seed, step, 10, torch.float64))
    near(draws.normal(seed, step, 1000, torch.float32), many[:1000].float(), rtol=1e-4, atol=1e-5)
    quantiles = torch.tensor([0.0013499, 0.1586553, 0.5, 0.8413447, 0.9986501], dtype=torch.float64)
    near(many.quantile(quantiles), torch.tensor([-3, -1, 0, 1, 3], dtype=torch.float64), rtol=0.05, atol=0.02)
    next_step = draws.normal(seed, step + 1, 100_000, torch.float64)
    for other in (next_step, many.roll(1)):
        assert abs(torch.corrcoef(torch.stack([many, other]))[0, 1].item()) < 0.02
    for extreme in (0, 2**32 - 1, 2**62):
        assert draws.normal(torch.tensor(extreme), torch.tensor(extreme), 1000, torch.float32).isfinite().all()


# The catalogue

LADDER = """Softmax LSoftmax SphereFace SphereFaceR SphereFace2 CombinedMargin SubCenterArcFace AdaCos P2SGrad MVSoftmax
CurricularFace MagFace AdaFace Circle CirclePair UniFace X2Softmax QAMFace DynArcFace CenterLoss RingLoss RangeLoss
RegularFace UniformFace Contrastive Triplet NormFace CosFace ArcFace ElasticFace InterFace KappaFace IntraLoss
MarginLoss LiArcFace InterLoss UniTSFace""".split()


def test_every_loss_of_the_ladder_is_there_and_exported():
    assert set(LADDER) <= set(catalogue())
    for where in (losslab, losslab.losses):
        assert {each for each in where.__all__ if each in catalogue()} == set(LADDER)
        assert all(getattr(where, each) is catalogue()[each] for each in LADDER)


@pytest.mark.parametrize("kind", catalogue().values(), ids=lambda kind: kind.__name__)
def test_a_card_says_all_that_a_reader_needs(kind):
    card = kind.card
    assert card.title and card.paper and card.formula and 1950 < card.year < 2030 and card.family in FAMILIES
    assert all(text.endswith(".") and len(text) > 20 for text in (card.geometry, card.use, card.hazard, card.source))
    assert len(kind.__doc__) > 20
    assert turned(kind(), card.toy)
    for field, knob in knobs(kind).items():
        assert knob.help.endswith((".", "?")), field
        if isinstance(knob.default, int | float) and not isinstance(knob.default, bool):
            assert knob.low < knob.high and knob.low <= knob.default <= knob.high, field
    assert kind() == kind() and hash(kind()) == hash(kind()) and eval(repr(kind()), dict(catalogue())) == kind()


@pytest.mark.parametrize("kind", catalogue().values(), ids=lambda kind: kind.__name__)
def test_a_reconstruction_says_so_wherever_it_is_named(kind):
    said = "reconstruction" in kind.card.title.lower(), "reconstruction" in kind.__doc__.lower()
    assert said == (kind.card.reconstruction,) * 2
    assert kind.card.reconstruction or kind.__name__ not in ("IntraLoss", "MarginLoss")


@pytest.mark.parametrize(
    ("kind", "defaults"),
    [
        (ArcFace, {"scale": 64, "margin": 0.5, "gradient": "exact"}),
        (CosFace, {"scale": 64, "margin": 0.35}),
        (SphereFace, {"margin": 4, "easing": 5}),
        (SphereFaceR, {"scale": 30, "margin": 1.5, "version": "v1"}),
        (CombinedMargin, {"times": 1, "angular": 0.3, "cosine": 0.2}),
        (SubCenterArcFace, {"subcentres": 3, "margin": 0.5}),
        (ElasticFace, {"margin": 0.5, "spread": 0.05, "sorted": False, "pairing": "described"}),
        (KappaFace, {"margin": 0.8, "temperature": 0.4, "balance": 0.7, "mix": "code"}),
        (InterFace, {"margin": 0.5, "reach": 0.1, "middle": math.pi / 18, "mode": "dd", "beyond": "raw"}),
        (MagFace, {"shortest": 10, "longest": 110, "low": 0.45, "high": 0.8, "weight": 35, "beyond": "easy"}),
        (AdaFace, {"margin": 0.4, "spread": 0.333, "follow": 0.01, "beyond": "clip"}),
        (MVSoftmax, {"scale": 32, "margin": 0.35, "hardness": 0.2, "form": "adaptive"}),
        (CurricularFace, {"margin": 0.5, "follow": 0.01}),
        (QAMFace, {"scale": 6, "margin": 0.5}),
        (Circle, {"scale": 256, "margin": 0.25}),
        (losslab.SphereFace2, {"scale": 40, "margin": 0.4, "balance": 0.7, "power": 3, "weight": 50}),
        (losslab.UniFace, {"scale": 64, "margin": 0.4, "balance": 1}),
        (UniTSFace, {"scale": 64, "margin": 0.1, "base": CosFace(margin=0.4)}),
        (losslab.CenterLoss, {"weight": 0.003, "follow": 0.5}),
        (losslab.Triplet, {"margin": 0.3, "mining": "semihard"}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_defaults_are_the_published_ones(kind, defaults):
    assert {field: getattr(kind(), field) for field in defaults} == defaults


def test_whole_numbers_and_decimals_are_the_same_loss():
    assert ArcFace(scale=64) == ArcFace(scale=64.0) and repr(ArcFace(scale=64)) == repr(ArcFace(scale=64.0))
    assert SubCenterArcFace(subcentres=2.0) == SubCenterArcFace(subcentres=2)


@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (lambda: ArcFace(margin=9), "margin is 9, but it must be from 0 to 1.5 rad."),
        (lambda: ArcFace(margin=float("nan")), "margin is nan, but it must be a finite number from 0 to 1.5 rad."),
        (lambda: ArcFace(margin="0.5"), "margin is '0.5', but it must be a finite number from 0 to 1.5 rad."),
        (lambda: ArcFace(margin=True), "margin is True, but it must be a finite number from 0 to 1.5 rad."),
        (lambda: ArcFace(beyond="up"), "beyond is 'up', but it must be one of monotone, raw, clip, keep, easy."),
        (lambda: ArcFace(like="caffe"), "like is 'caffe', but it must be one of insightface, "),
        (lambda: CosFace(like="insightface"), "CosFace has no margin on an angle, so like='insightface' says nothing"),
        (lambda: ElasticFace(sorted="no"), "sorted is 'no', but it must be true or false."),
        (lambda: SubCenterArcFace(subcentres=1.5), "subcentres is 1.5, but it must be a whole number from 1 to 10."),
        (lambda: MagFace(shortest=50, longest=40), "shortest is 50, but it must be below longest, 40."),
        (lambda: RangeLoss(base=CirclePair()), "base is CirclePair("),
        (lambda: make("ArcFase"), "There is no loss called 'ArcFase'; there are Softmax"),
        (lambda: PrototypeHead(ArcFace(), 0, 3), "A head needs at least 1 dimension and 1 class"),
    ],
)
def test_a_bad_knob_gets_one_sentence(build, sentence):
    with pytest.raises(ValueError) as error:
        build()
    assert str(error.value).startswith(sentence) and str(error.value).endswith(".")


@pytest.mark.parametrize("loss", of_pairs(), ids=name)
def test_a_loss_of_pairs_is_zero_without_pairs(loss):
    x, _, w = problem()
    everyone_alone, all_one = torch.arange(6), torch.zeros(6, dtype=torch.long)
    made = head(loss, w)
    wanted = {"Contrastive": (False, False)}.get(type(loss).__name__, (True, True))
    zero = tuple(bool((made(x[:6], label) == 0).all()) for label in (everyone_alone, all_one))
    assert zero == wanted
    assert (made(x[:1], torch.tensor([0])) == 0).all()
