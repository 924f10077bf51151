"""What the papers of the five primary losses promise, and what our two reconstructions must do to deserve the name."""

import math
from dataclasses import replace

import pytest
import torch
from cases import head, problem

from losslab import (
    ArcFace,
    CenterLoss,
    CosFace,
    ElasticFace,
    InterFace,
    IntraLoss,
    KappaFace,
    MagFace,
    MarginLoss,
    NormFace,
    PrototypeHead,
    RingLoss,
    Softmax,
)

near = torch.testing.assert_close


def tensor(values):
    return torch.tensor(values, dtype=torch.float64)


def at(*degrees):
    """Unit vectors in the plane."""
    theta = tensor(degrees).deg2rad()
    return torch.stack([theta.cos(), theta.sin()], 1)


def gradient(made, x, label):
    leaf = x.clone().requires_grad_()
    return torch.autograd.grad(made(leaf, label).sum(), leaf)[0]


# ElasticFace. Spread 0, pairing and ranks are in test_losses_algebra.py.


def test_elasticface_hands_the_network_no_margin_at_inference():
    x, _, w = problem()
    made = head(ElasticFace(scale=20), w)
    near(made.logits(x), 20 * torch.nn.functional.cosine_similarity(x[:, None], w, dim=2))
    near(made.train().logits(x), made.eval().logits(x))


def test_elasticface_is_on_average_arcface_a_little_closer_to_zero():
    """E cos(θ + e) = cos(θ + m)·exp(−σ²/2)."""
    made = head(ElasticFace(margin=0.5, spread=0.3, beyond="raw"), [[1, 0], [0, 1]]).train()
    theta = math.radians(40)
    a = made.angles(at(40).repeat(200_000, 1), torch.zeros(200_000, dtype=torch.long))
    mean = made.loss.positive(a).mean().item()
    assert mean == pytest.approx(math.cos(theta + 0.5) * math.exp(-(0.3**2) / 2), abs=3e-3)
    assert abs(mean - math.cos(theta + 0.5)) > 5e-3


def test_elasticface_of_one_sample_is_the_same_sorted_or_not():
    x, label, w = problem(batch=1)
    values = [head(ElasticFace(sorted=s), w).train()(x, label) for s in (False, True)]
    assert torch.equal(*values)


# KappaFace

EVEN, RESULTANTS = tensor([20, 20, 20]), tensor([0.9, 0.6, 0.75])


def test_kappaface_is_arcface_until_the_first_epoch_is_over():
    x, label, w = problem()
    made, arc = head(KappaFace(margin=0.6), w).train(), head(ArcFace(margin=0.6), w)
    for _ in range(3):
        assert torch.equal(made(x, label), arc(x, label))
    made.end_epoch()
    first = made(x, label)
    assert (first < arc(x, label)).any()
    assert torch.equal(made(x, label), first)  # margins stay where they are within an epoch
    assert torch.equal(made.eval()(x, label), first)


@pytest.mark.parametrize(("mix", "psi", "margin"), [("code", 0.351675, 0.281340), ("paper", 0.15, 0.12)])
def test_kappaface_of_equal_classes_has_one_margin(mix, psi, margin):
    loss = KappaFace(mix=mix)
    got = loss.calibrate(tensor([0.7, 0.7, 0.7]), EVEN, 64)
    near(got, tensor([psi] * 3), rtol=0, atol=1e-6)
    near(loss.margin * got, tensor([margin] * 3), rtol=0, atol=1e-6)


@pytest.mark.parametrize("mix", ["code", "paper"])
def test_kappaface_without_temperature_does_not_tell_concentrations_apart(mix):
    by_kappa = KappaFace(mix=mix, temperature=0, balance=1 if mix == "code" else 0)
    near(by_kappa.calibrate(RESULTANTS, tensor([10, 40, 20]), 64), tensor([0.5] * 3))


@pytest.mark.parametrize("mix", ["code", "paper"])
def test_kappaface_gives_tight_and_large_classes_smaller_margins(mix):
    loss = KappaFace(mix=mix)
    tighter = [loss.calibrate(tensor([r, 0.6, 0.75]), EVEN, 64)[0].item() for r in (0.3, 0.5, 0.7, 0.9)]
    larger = [loss.calibrate(RESULTANTS, tensor([n, 40, 20]), 64)[0].item() for n in (1, 10, 30, 40, 400)]
    assert tighter == sorted(set(tighter), reverse=True)
    assert larger[:4] == sorted(set(larger[:4]), reverse=True)
    assert larger[4] == pytest.approx(larger[3])  # the largest class is the measure: it cannot be larger


@pytest.mark.parametrize("mix", ["code", "paper"])
def test_kappaface_keeps_its_share_of_the_margin_within_bounds(mix):
    g = torch.Generator().manual_seed(0)
    for balance in (0, 0.3, 1):
        for dim in (2, 3, 512):
            r, count = torch.rand(50, generator=g), torch.randint(0, 100, (50,), generator=g).float()
            psi = KappaFace(mix=mix, balance=balance, temperature=5).calibrate(r, count, dim)
            assert ((psi >= 0) & (psi <= 1)).all()


@pytest.mark.parametrize("mix", ["code", "paper"])
@pytest.mark.parametrize("r", [[1, 1, 1], [1, 0.5, 0], [0, 0, 0], [1.0000001, 0.9, 0.9]], ids=str)
@pytest.mark.parametrize("count", [[10, 40, 20], [0, 0, 5], [0, 0, 0], [1, 1, 1]], ids=str)
def test_kappaface_survives_perfect_equal_and_missing_classes(mix, r, count):
    for dtype in (torch.float64, torch.float32):
        psi = KappaFace(mix=mix).calibrate(tensor(r).to(dtype), tensor(count).to(dtype), 2)
        assert ((psi >= 0) & (psi <= 1)).all()


def test_kappaface_measures_what_it_saw_in_the_epoch():
    """Two classes in the plane: one at 0, 20, −20 and 40 degrees, one at 90 and 100; lengths do not count."""
    x = at(0, 20, -20, 40, 90, 100) * tensor([[1], [2], [3], [0.1], [5], [1]])
    label = torch.tensor([0, 0, 0, 0, 1, 1])
    made = head(KappaFace(), [[1, 0], [0, 1], [-1, 0]]).train()
    made(x, label)
    made(x[:0], label[:0])
    made.end_epoch()
    r = torch.stack([at(0, 20, -20, 40).mean(0).norm(), at(90, 100).mean(0).norm(), tensor(0)])
    want = made.loss.calibrate(r, tensor([4, 2, 0]), 2)
    near(made.memory.psi[:2], want[:2])
    assert made.memory.psi[2] == 1  # not seen: as before
    assert made.memory.count.sum() == 0 and made.memory.sum.abs().sum() == 0


def test_kappaface_s_running_sums_are_the_sums_of_running_embeddings():
    """The same images in every epoch: averaging each image's vectors first gives the same margins."""
    g = torch.Generator().manual_seed(1)
    label = torch.tensor([0, 0, 0, 1, 1, 2, 2, 2, 2])
    made = head(KappaFace(momentum=0.6), torch.eye(3)).train()
    kept, weight = torch.zeros(9, 3, dtype=torch.float64), 0.0
    for _ in range(4):
        x = torch.randn(9, 3, generator=g, dtype=torch.float64) + 2 * torch.eye(3, dtype=torch.float64)[label]
        made(x, label)
        made.end_epoch()
        kept = 0.6 * kept + torch.nn.functional.normalize(x)
        weight = 0.6 * weight + 1
    r = torch.stack([kept[label == c].sum(0).norm() / (label == c).sum() / weight for c in range(3)])
    near(made.memory.psi, made.loss.calibrate(r, tensor([3, 2, 4]), 3))


# InterFace

MODES = [("cc", 0.2), ("dc", 0.3), ("dd", math.pi / 18)]


def margins(mode, middle, degrees, apart):
    """m̂ to the other class, for samples at these angles from their prototype on the side away from the other."""
    made = head(InterFace(mode=mode, middle=middle), at(0, apart))
    x = at(*[-d for d in degrees])
    return made.loss.margins(made.angles(x, torch.zeros(len(x), dtype=torch.long)))[:, 1]


@pytest.mark.parametrize("apart", [20, 60, 90, 150])
@pytest.mark.parametrize(("mode", "middle"), MODES)
def test_interface_s_margins_change_sign_where_the_sample_is_close_enough(mode, middle, apart):
    phi = math.radians(apart)
    zero = {"cc": 0.2 * math.pi / 2, "dc": 0.3 * phi, "dd": math.pi / 18}[mode]
    assert margins(mode, middle, [math.degrees(zero)], apart).item() == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("apart", [20, 60, 90, 150])
@pytest.mark.parametrize(("mode", "middle"), MODES)
def test_interface_s_margins_grow_with_the_distance_and_stay_within_bounds(mode, middle, apart):
    got = margins(mode, middle, list(range(0, 171, 5)), apart)
    q = math.radians(apart) if mode == "dd" else 1
    top = 0.1 * math.exp(-middle / q)
    assert (got.diff() > 0).all() and (got >= top - 0.1 - 1e-12).all() and (got < top).all()


def test_interface_modes_agree_where_prototypes_stand_at_right_angles():
    x, label, _ = problem(batch=20, dim=4, classes=4)
    cc, dc = (head(InterFace(mode=mode, middle=0.25), torch.eye(4))(x, label) for mode in ("cc", "dc"))
    near(cc, dc)
    dd = head(InterFace(mode="dd", middle=0.25 * math.pi / 2), torch.eye(4))(x, label)
    near(dd, cc)  # the threshold is the same there too


@pytest.mark.parametrize("mode", ["cc", "dc", "dd"])
def test_interface_s_margins_to_others_are_no_way_for_gradients(mode):
    """With m̂ frozen at its values, embeddings and prototypes get the same push."""
    x, label, w = problem(batch=20)
    made = head(InterFace(mode=mode, scale=8), w)
    frozen = made.loss.margins(made.angles(x, label)).clone()
    x.requires_grad_()

    def pushes():
        made.zero_grad()
        return torch.autograd.grad(made(x, label).sum(), (x, made.prototypes))

    free = pushes()
    object.__setattr__(made.loss, "margins", lambda a: frozen)
    for one, other in zip(free, pushes(), strict=True):
        near(one, other)
    assert not made.loss.margins(made.angles(x, label)).requires_grad


# IntraLoss, a reconstruction: the far side of a class gets its pull back

SIDES = [  # base, pull at 10 degrees off the prototype: towards the near neighbour, and away from it
    (NormFace(scale=10), 1.5740, -0.1876),
    (CosFace(scale=10, margin=0.35), 6.1294, -3.0801),
    (ArcFace(scale=10, margin=0.5), 7.8787, -0.2840),
    (ArcFace(scale=64, margin=0.5), 71.6597, -0.0013),
]


def pulls(loss):
    """dL/dθ_y of a class at 0 degrees among classes at 40 and 180, for samples at 10 and −10: positive is inward."""
    x, label, outward = at(10, -10), torch.tensor([0, 0]), at(100, -100)
    return (gradient(head(loss, at(0, 40, 180)), x, label) * outward).sum(1)


@pytest.mark.parametrize(("base", "facing", "far"), SIDES, ids=str)
def test_on_the_far_side_margin_losses_pull_little_or_push_away(base, facing, far):
    near(pulls(base), tensor([facing, far]), rtol=0, atol=1e-4)


def test_intraloss_pulls_inward_on_the_far_side_too():
    facing, far = pulls(IntraLoss(base=ArcFace(scale=64, margin=0.5), weight=1)).tolist()
    assert facing == pytest.approx(71.71, abs=0.01) and far == pytest.approx(11.1106, abs=1e-4)
    for base, _, before in SIDES:
        for variant in ("confident", "plain"):
            assert pulls(IntraLoss(base=base, weight=1, variant=variant))[1] > before


@pytest.mark.parametrize("base", [NormFace(scale=10), CosFace(scale=10)], ids=str)
def test_intraloss_of_weight_one_never_saturates(base):
    """Where the base is linear in the own cosine, dL/dcos θ_y = −s whatever the probability."""
    x, label, w = problem(batch=30)
    made = head(IntraLoss(base=base, weight=1), w)
    a = made.angles(x, label)
    a = replace(a, target=a.target.detach().requires_grad_())
    slope = torch.autograd.grad(made.loss(a).sum(), a.target)[0]
    near(slope, torch.full_like(slope, -10))


@pytest.mark.parametrize("variant", ["confident", "plain", "angle"])
def test_intraloss_leaves_a_sample_on_its_prototype_alone(variant):
    base = NormFace(scale=10)
    w, label = torch.eye(3, dtype=torch.float64), torch.arange(3)
    made, bare = head(IntraLoss(base=base, weight=1, variant=variant), w), head(base, w)
    near(made(3 * w, label), bare(3 * w, label))
    near(gradient(made, 3 * w, label), gradient(bare, 3 * w, label))


@pytest.mark.parametrize("variant", ["confident", "plain", "angle", "ring"])
def test_intraloss_adds_the_same_all_around_the_prototype(variant):
    """Around the own prototype, with the other classes as far from every sample."""
    w = torch.eye(3, dtype=torch.float64)
    w = torch.cat([w[:1], -w[:1]])
    turn = tensor([0, 72, 144, 216, 288]).deg2rad()
    ring = torch.stack([torch.full_like(turn, 0.8), 0.6 * turn.cos(), 0.6 * turn.sin()], 1)
    made = head(IntraLoss(base=NormFace(scale=4), weight=1, variant=variant), w)
    label = torch.zeros(5, dtype=torch.long)
    near(made(ring, label), made(ring, label)[:1].expand(5))
    inward = -(gradient(made, ring, label) * w[0]).sum(1)
    near(inward, inward[:1].expand(5))
    assert (inward > 0).all()


@pytest.mark.parametrize("variant", ["confident", "plain", "angle"])
def test_intraloss_pulls_along_the_sphere_also_where_length_is_the_scale(variant):
    x, label, w = problem()
    made = head(IntraLoss(base=Softmax(), weight=1, variant=variant), w)
    pull = gradient(made, x, label) - gradient(head(Softmax(), w), x, label)
    assert (pull * x).sum(1).abs().max() < 1e-9 and pull.abs().max() > 1e-4


@pytest.mark.parametrize("variant", ["confident", "plain", "angle", "ring"])
def test_intraloss_takes_its_probability_from_the_softmax_alone(variant):
    """Not from what a loss adds to it: around MagFace's reward of length, or around another term, it adds the same."""
    x, label, w = problem(batch=30)

    def added(base):
        made, bare = head(IntraLoss(base=base, weight=1, variant=variant), w), head(base, w)
        return made(x, label) - bare(x, label), gradient(made, x, label) - gradient(bare, x, label)

    bare = MagFace(scale=10, weight=0)
    for base in (MagFace(scale=10, weight=35), RingLoss(base=bare, weight=1), CenterLoss(base=RingLoss(base=bare))):
        for got, want in zip(added(base), added(bare), strict=True):
            near(got, want)


def test_intraloss_puts_its_ring_at_the_nearest_class_if_asked_to():
    x, label = at(10, -25), torch.tensor([0, 0])
    w = at(0, 40, 180)
    nearest = head(IntraLoss(base=ArcFace(scale=10), weight=1, variant="ring", ring=0), w)
    fixed = head(IntraLoss(base=ArcFace(scale=10), weight=1, variant="ring", ring=math.radians(40)), w)
    near(nearest(x, label), fixed(x, label))


# Margin Loss, a reconstruction

CENTRES = tensor([[1.5, 1, 0], [2.5, 2.5, 1], [0, -1, 2], [-2, 0, 0]])


def hinge(x, label, centres=CENTRES, **knobs):
    """The term alone, and its gradient for the embeddings."""
    made = head(MarginLoss(weight=1, share=0, relative=False, **knobs), torch.eye(4)[:, :3] + 0.1)
    made.memory.centre.data.copy_(centres)
    return made(x, label).detach(), gradient(made, x, label)


@pytest.mark.parametrize("variant", ["sum", "hardest"])
def test_margin_loss_is_zero_exactly_where_the_own_centre_is_nearer_by_the_margin(variant):
    x, label, _ = problem(batch=200, dim=3, classes=4)
    distance = (x[:, None] - CENTRES).square().sum(2)
    own = distance.gather(1, label[:, None]).squeeze(1)
    other = distance.scatter(1, label[:, None], math.inf).amin(1)
    for margin in (0, 1):
        value, push = hinge(x, label, margin=margin, variant=variant)
        clears = own + margin <= other
        assert torch.equal(value == 0, clears) and 10 < clears.sum() < 190
        assert (push[clears] == 0).all() and (push[~clears] != 0).any(1).all()


@pytest.mark.parametrize("variant", ["sum", "hardest", "soft", "distance"])
def test_margin_loss_does_not_depend_on_where_and_how_the_plane_lies(variant):
    x, label, _ = problem(dim=3, classes=4)
    turn = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1)))[0]
    shift = tensor([1, -2, 3])
    here, push = hinge(x, label, variant=variant, margin=1)
    there, turned = hinge(x @ turn + shift, label, CENTRES @ turn + shift, variant=variant, margin=1)
    near(here, there)
    near(push @ turn, turned)


def test_margin_loss_on_the_unit_sphere_is_a_hinge_of_cosines():
    x, label, w = (t if t.dtype == torch.long else torch.nn.functional.normalize(t) for t in problem(30, 3, 4))
    cosine = x @ w.T
    short = (0.3 / 2 + cosine - cosine.gather(1, label[:, None])).clamp(min=0)
    short = short.scatter(1, label[:, None], 0)
    near(hinge(x, label, w, margin=0.3)[0], short.sum(1))


def test_margin_loss_pushes_every_failing_pair_with_the_same_force():
    """One active pair: c_j − c_y on the sample wherever it is, c_y − x and x − c_j on the centres."""
    for x in (tensor([[2, 1.5, 0.4]]), tensor([[2.1, 1.6, 0.3]])):
        made = head(MarginLoss(weight=1, share=0, relative=False, margin=1), torch.eye(4)[:, :3] + 0.1)
        made.memory.centre.data.copy_(CENTRES)
        leaf = x.clone().requires_grad_()
        push, centres = torch.autograd.grad(
            made(leaf, torch.tensor([0])).sum(), (leaf, made.memory.get_parameter("centre"))
        )
        near(push[0], CENTRES[1] - CENTRES[0])
        near(centres[:2], torch.cat([CENTRES[:1] - x, x - CENTRES[1:2]]))
        assert (centres[2:] == 0).all()


def test_margin_loss_asks_nothing_of_samples_nearest_to_their_own_centre_without_margin():
    x = CENTRES + 0.1
    for variant in ("sum", "hardest", "distance"):
        value, push = hinge(x, torch.arange(4), margin=0, variant=variant)
        assert (value == 0).all() and (push == 0).all()


def test_margin_loss_alone_moves_or_learns_its_centres():
    x, label = tensor([[2, 1.5]]), torch.tensor([0])
    for centres in ("learned", "moving"):
        made = PrototypeHead(MarginLoss(centres=centres), 2, 3, seed=0).double().train()
        before = made.memory.centre.detach().clone()
        made(x, label)
        after = made.memory.centre
        assert isinstance(after, torch.nn.Parameter) is (centres == "learned")
        near(after[0], before[0] if centres == "learned" else before[0] - 0.5 * (before[0] - x[0]) / 2)
        near(after[1:], before[1:])
