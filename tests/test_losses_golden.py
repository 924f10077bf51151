"""Each loss gives the published or hand-derived numbers."""

import math
from dataclasses import replace

import pytest
import torch
from cases import head, name

from losslab import (
    AdaCos,
    AdaFace,
    ArcFace,
    CenterLoss,
    Circle,
    CombinedMargin,
    CosFace,
    CurricularFace,
    DynArcFace,
    ElasticFace,
    InterFace,
    InterLoss,
    IntraLoss,
    KappaFace,
    LSoftmax,
    MagFace,
    MarginLoss,
    MVSoftmax,
    NormFace,
    P2SGrad,
    PrototypeHead,
    QAMFace,
    RangeLoss,
    RegularFace,
    RingLoss,
    Softmax,
    SphereFace,
    SphereFace2,
    SphereFaceR,
    SubCenterArcFace,
    Triplet,
    UniFace,
    UniformFace,
    UniTSFace,
    X2Softmax,
)
from losslab.losses.margins import add_angle

near = torch.testing.assert_close


def tensor(values):
    return torch.tensor(values, dtype=torch.float64)


# The curve of the own class, from 0 to 180 degrees. Not a number: decided by the last bit of cos 90°.
DEGREES = tensor([0, 10, 30, 60, 90, 120, 160, 180])
NAN = math.nan
ARC = [0.877583, 0.780999, 0.520296, 0.023597, -0.479426, -0.853986]
CURVES = [
    (NormFace(), [1.000000, 0.984808, 0.866025, 0.500000, 0.000000, -0.500000, -0.939693, -1.000000]),
    (CosFace(), [0.650000, 0.634808, 0.516025, 0.150000, -0.350000, -0.850000, -1.289693, -1.350000]),
    (ArcFace(beyond="raw"), [*ARC, -0.988631, -0.877583]),
    (ArcFace(beyond="monotone"), [*ARC, -1.179405, -1.239713]),
    (ArcFace(beyond="clip"), [*ARC, -1.000000, -1.000000]),
    (ArcFace(beyond="keep"), [*ARC, -0.939693, -1.000000]),
    (ArcFace(beyond="easy"), [*ARC[:4], NAN, -0.500000, -0.939693, -1.000000]),
    (SphereFace(easing=0), [1.000000, 0.766044, -0.500000, -1.500000, -3.000000, -4.500000, -6.173648, -7.000000]),
    (SphereFace(easing=5), [1.000000, 0.948347, 0.638355, 0.166667, -0.500000, -1.166667, -1.812019, -2.000000]),
    (
        SphereFace(margin=1.7, easing=0),
        [1.000000, 0.956305, 0.629320, -0.207912, -0.891007, -1.086455, -2.034899, -2.587785],
    ),
    (
        SphereFaceR(margin=1.35, beyond="raw"),
        [1.000000, 0.972370, 0.760406, 0.156434, -0.522499, -0.951057, -0.809017, -0.453990],
    ),
    (SphereFaceR(margin=1.4), [1.000000, 0.970296, 0.743145, 0.104528, -0.587785, -0.978148, -1.000000, -1.000000]),
    (
        CombinedMargin(beyond="raw"),
        [0.755336, 0.689506, 0.479586, 0.021740, -0.495520, -0.933596, -1.198797, -1.155336],
    ),
    (
        CombinedMargin(times=0.9, angular=0.4, cosine=0.15, beyond="raw"),
        [0.771061, 0.698803, 0.493879, 0.076340, -0.390538, -0.804982, -1.124048, -1.146318],
    ),
    (X2Softmax(), [0.650000, 0.622584, 0.403260, -0.336960, -1.570661, -3.297842, -6.368385, -8.232644]),
    (
        X2Softmax(bend=-1, vertex=math.pi / 6, top=0.5),
        [0.5 - (math.pi / 180 * (degrees - 30)) ** 2 for degrees in (0, 10, 30, 60, 90, 120, 160, 180)],
    ),
    (QAMFace(), [33.445232, 31.456982, 27.663250, 22.429580, 17.744221, 13.607173, 8.944038, 6.978012]),
    (SphereFace2(margin=0), [1.000000, 0.954769, 0.624399, -0.156250, -0.750000, -0.968750, -0.999945, -1.000000]),
]


@pytest.mark.parametrize(("loss", "values"), CURVES, ids=[name(loss) for loss, _ in CURVES])
def test_the_curve_of_the_own_class_has_its_golden_values(loss, values):
    curve, _ = head(loss, [[1, 0], [0, 1]]).curves(DEGREES.deg2rad())
    known = ~tensor(values).isnan()
    near(curve[0, known], tensor(values)[known], rtol=0, atol=1e-6)


# One sample of class 0 in the plane: cosines 0.8, 0.6, -0.989949 at angles 0.643501, 0.927295, 2.999696.
X, W, Y = tensor([[2, 1.5]]), [[1, 0], [0, 1], [-math.sqrt(0.5), -math.sqrt(0.5)]], torch.tensor([0])
ONES = [  # loss, logits of the three classes, loss of the sample
    (NormFace(scale=10), [8, 6, -9.899495], 0.126928),
    (CosFace(scale=10, margin=0.35), [4.5, 6, -9.899495], 1.701413),
    (ArcFace(scale=10, margin=0.5), [4.144107, 6, -9.899495], 2.001130),
    (SubCenterArcFace(scale=10, subcentres=1), [4.144107, 6, -9.899495], 2.001130),
    (CombinedMargin(scale=10), [3.869571, 6, -9.899495], 2.242674),
    (CombinedMargin(scale=10, times=0.9, angular=0.4, cosine=0.15), [4.077274, 6, -9.899495], 2.059185),
    (ElasticFace(scale=10, margin=0.47, spread=0), [4.415229, 6, -9.899495], 1.771247),
    (ElasticFace(scale=10, margin=0.53, spread=0), [3.869257, 6, -9.899495], 2.242955),
    (ElasticFace(scale=10, margin=0.33, spread=0, variant="cos"), [4.7, 6, -9.899495], 1.541009),
    (InterFace(scale=10, mode="cc", middle=0.2), [4.144107, 6.123162, -9.876409], 2.108503),
    (InterFace(scale=10, mode="dc", middle=0.3), [4.144107, 6.061379, -9.902330], 2.054428),
    (InterFace(scale=10), [4.144107, 6.183157, -9.874404], 2.161402),
    (MVSoftmax(scale=10), [4.5, 9.2, -9.899495], 4.709054),
    (MVSoftmax(scale=10, form="fixed"), [4.5, 8, -9.899495], 3.529751),
    (MVSoftmax(scale=10, margin=0.1), [7, 6, -9.899495], 0.313262),  # 0.6 is not above 0.7: nobody is hard
    (MVSoftmax(scale=10, margin=0.201), [5.99, 9.2, -9.899495], 3.249564),
    (MVSoftmax(scale=10, margin=0.5, variant="arc"), [4.144107, 9.2, -9.899495], 5.062244),
    (MagFace(scale=10, weight=0), [4.593784, 6, -9.899495], 1.625407),
    (Circle(scale=10), [0.225, 2.975, 0], 2.858832),
    (SphereFaceR(scale=10, margin=1.4), [6.209035, 6, -9.899495], 0.594082),
    (SphereFaceR(scale=10, margin=1.4, version="v2"), [8, 7.885469, -5.411831], 0.637521),
    (SphereFace(margin=4, easing=0), [-2.108, 1.5, -2.474874], 3.652866),
    (SphereFace(margin=4, easing=5), [1.315333, 1.5, -2.474874], 0.799940),
    (LSoftmax(margin=4, easing=0), [-2.108, 1.5, -2.474874], 3.652866),
    (X2Softmax(scale=10), [2.773157, 6, -9.899495], 3.265759),
    (QAMFace(scale=1), [26.416354, 28.685559, 10.781305], 2.367596),
    (NormFace(scale=64), None, 0.000003),
    (CosFace(scale=64, margin=0.35), None, 9.600068),
    (ArcFace(scale=64, margin=0.5), None, 11.877720),
    (InterFace(mode="cc", middle=0.2), None, 12.665956),
    (InterFace(mode="dc", middle=0.3), None, 12.270541),
    (InterFace(), None, 13.049920),
    (P2SGrad(), None, 1.38 / 2),
]


@pytest.mark.parametrize(("loss", "logits", "value"), ONES, ids=[name(loss) for loss, _, _ in ONES])
def test_one_sample_has_its_golden_logits_and_loss(loss, logits, value):
    made = head(loss, W)
    assert made(X, Y).item() == pytest.approx(value, abs=1e-6)
    if logits is not None:
        a = made.angles(X, Y)
        bent = torch.where(a.own, loss.positive(a)[:, None], loss.negative(a))
        near(loss.radius(a)[:, None] * bent, tensor([logits]), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("beyond", "value"),
    [
        ("raw", math.cos(math.radians(10) - 0.4)),
        ("clip", 1),
        ("keep", math.cos(math.radians(10))),
        ("monotone", 1 + math.cos(math.radians(10)) - math.cos(0.4)),
        ("easy", math.cos(math.radians(10) - 0.4)),
    ],
)
def test_a_negative_margin_is_held_at_the_prototype(beyond, value):
    """0.4 is 23 degrees: at 10 it passes the prototype itself, at 60 it is as usual."""
    at = tensor([10, 60]).deg2rad().cos()
    near(add_angle(at, -0.4, beyond), tensor([value, math.cos(math.pi / 3 - 0.4)]))


def test_the_exact_and_the_detached_slope_have_their_golden_values():
    for gradient, slope in (("exact", -4.112930), ("detached", -2.711554)):
        made = head(ArcFace(scale=4, gradient=gradient), W)
        a = made.angles(X, Y)
        a = replace(a, target=a.target.detach().requires_grad_())
        value = made.loss(a)
        assert value.item() == pytest.approx(1.132858, abs=1e-6)
        assert torch.autograd.grad(value.sum(), a.target)[0].item() == pytest.approx(slope, abs=1e-6)


# Prototypes at 0, 120 and 240 degrees with lengths 0.5, 2 and 3; samples of class 0 on either side of every pole.
DEG = tensor([10, 50, 100, 155]).deg2rad()
SAMPLES = torch.stack([DEG.cos(), DEG.sin()], 1) * tensor([[1], [7], [0.3], [2]])
AXES = tensor([0, 120, 240]).deg2rad()
STAR = torch.stack([AXES.cos(), AXES.sin()], 1) * tensor([[0.5], [2], [3]])
FAN = [
    (ArcFace(scale=16), [1.5848e-08, 2.416394403746, 25.027603533134, 31.442769805383]),
    (ArcFace(scale=16, beyond="raw"), [1.5848e-08, 2.416394403746, 25.027603533134, 29.074023261849]),
    (ArcFace(scale=16, beyond="clip"), [1.5848e-08, 2.416394403746, 25.027603533134, 29.106440903964]),
    (ArcFace(scale=16, beyond="keep"), [1.5848e-08, 2.416394403746, 25.027603533134, 27.607365496551]),
    (ArcFace(scale=16, beyond="easy"), [1.5848e-08, 2.416394403746, 17.813452793600, 27.607365496551]),
    (CosFace(scale=16), [1.64369e-07, 1.162644303326, 23.413452775315, 33.207365496550]),
    (NormFace(scale=16), [6.08e-10, 0.008096443287, 17.813452793600, 27.607365496551]),
    (
        CombinedMargin(scale=16, times=0.9, angular=0.4, cosine=0.15),
        [5.9039e-08, 2.002495705899, 23.665775409567, 30.759037014645],
    ),
]


@pytest.mark.parametrize(("loss", "values"), FAN, ids=[name(loss) for loss, _ in FAN])
def test_a_fan_of_samples_has_its_golden_losses(loss, values):
    near(head(loss, STAR)(SAMPLES, torch.zeros(4, dtype=torch.long)), tensor(values), rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize(
    ("margin", "values"),
    [
        (4.0, [2.0132e-08, 22.437240361419, 66.778370842672, 106.328070061292]),
        (1.7, [9.59e-10, 4.094632646105, 30.792005980771, 43.295189483677]),
        (1.0, [6.08e-10, 0.008096443287, 17.813452793600, 27.607365496551]),
    ],
)
def test_a_fan_for_sphereface_takes_its_length_for_the_scale(margin, values):
    """Embeddings of length 16 take the part of a fixed scale of 16; SphereFace-R with the same fold is the same."""
    x, label = 16 * torch.nn.functional.normalize(SAMPLES), torch.zeros(4, dtype=torch.long)
    for loss in (SphereFace(margin=margin, easing=0), SphereFaceR(scale=16, margin=margin, beyond="monotone")):
        near(head(loss, STAR)(x, label), tensor(values), rtol=1e-3, atol=1e-9)


def test_sphereface_agrees_with_the_integer_polynomial():
    """cos 4θ = 8c⁴ − 8c² + 1, folded."""
    theta = torch.linspace(0, math.pi, 400, dtype=torch.float64)
    c = theta.cos()
    fold = 8 * c**4 - 8 * c**2 + 1
    psi = c.sign() * (2 * c**2 - 1).sign() * fold + 2 * c.sign() + c.sign() * (2 * c**2 - 1).sign() - 3
    near(head(SphereFace(margin=4, easing=0), [[1, 0], [0, 1]]).curves(theta)[0][0], psi)


def test_softmax_is_cross_entropy_of_the_plain_product():
    label = torch.tensor([0, 1, 2, 1])
    made = head(Softmax(), STAR)
    near(made(SAMPLES, label), torch.nn.functional.cross_entropy(SAMPLES @ STAR.T, label, reduction="none"))
    near(made.logits(SAMPLES), SAMPLES @ STAR.T)


def test_the_loss_is_not_clipped_where_the_own_class_is_hopeless():
    """Some heads clamp the probability and stop at 69.08."""
    made = head(ArcFace(scale=128, margin=0.5), [[1, 0], [-1, 0]])
    assert made(tensor([[-1, 0]]), Y).item() > 250


# Losses that keep something from step to step


def test_curricularface_ripens_before_it_judges():
    made = head(CurricularFace(scale=10), W).train()
    made.memory.ripeness.fill_(0.3)
    assert made(X, Y).item() == pytest.approx(1.529939, abs=1e-6)
    assert made.memory.ripeness.item() == pytest.approx(0.305)
    assert 10 * made.loss.negative(made.angles(X, Y))[0, 1].item() == pytest.approx(5.43, abs=1e-6)


@pytest.mark.parametrize(
    ("quality", "logit", "value", "at60"),
    [
        (-1, 5.031978, 1.289985, 0.123284),
        (0, 4.000000, 2.126928, 0.100000),
        (1, 1.704998, 4.308547, -0.002223),
    ],
)
def test_adaface_follows_the_quality(quality, logit, value, at60):
    made = head(AdaFace(scale=10), W)
    made.memory.mean.fill_(2.5 - 10 * quality)  # the embedding is 2.5 long
    made.memory.deviation.fill_(1)
    a = made.angles(X, Y)
    assert made.loss.quality(a).item() == quality
    assert 10 * made.loss.positive(a).item() == pytest.approx(logit, abs=1e-6)
    assert made(X, Y).item() == pytest.approx(value, abs=1e-6)
    assert made.curves(tensor([math.pi / 3]), norm=2.5)[0][0].item() == pytest.approx(at60, abs=1e-6)


def test_adaface_gives_lengths_no_gradient():
    made, x = head(AdaFace(scale=10, spread=2), W), (20 * X).requires_grad_()
    assert 0 < abs(made.loss.quality(made.angles(x, Y)).item()) < 1
    made(x, Y).sum().backward()
    assert (x.grad * X).sum().abs().item() < 1e-9


def test_adaface_follows_the_lengths_of_the_batch():
    made = head(AdaFace(follow=0.01), W).train()
    made(tensor([[30, 0], [0, 40], [500, 0]]), torch.tensor([0, 1, 0]))  # lengths above 100 count as 100
    lengths = tensor([30, 40, 100])
    assert made.memory.mean.item() == pytest.approx(0.99 * 20 + 0.01 * lengths.mean().item())
    assert made.memory.deviation.item() == pytest.approx(0.99 * 100 + 0.01 * lengths.std().item())


@pytest.mark.parametrize(("length", "margin", "term"), [(10, 0.45, 0.100826), (50, 0.59, None), (110, 0.80, 0.018182)])
def test_magface_asks_more_of_long_embeddings(length, margin, term):
    made = head(MagFace(weight=1), W)
    x = length * X / 2.5
    assert made.loss.margins(made.angles(x, Y)).item() == pytest.approx(margin, abs=1e-6)
    if term is not None:
        bare = head(MagFace(weight=0), W)
        assert (made(x, Y) - bare(x, Y)).item() == pytest.approx(term, abs=1e-6)


def test_magface_stops_rewarding_length_at_its_end():
    """The slope of 1/a + a/u² is 0 at u."""
    made, x = head(MagFace(low=0.5, high=0.5, weight=1), W), (110 * X / 2.5 * (1 - 1e-9)).requires_grad_()
    made(x, Y).sum().backward()
    assert (x.grad * X).sum().abs().item() < 1e-9


@pytest.mark.parametrize(("label", "other", "cosine"), [(0, 0.6, 0.8), (1, 0.8, math.sqrt(0.5))])
def test_adacos_begins_and_goes_on_as_published(label, other, cosine):
    """Class 0 is at 37 degrees; class 1 is farther than 45, which is the most that counts."""
    assert PrototypeHead(AdaCos(), 2, 10572).memory.scale.item() == pytest.approx(13.103919, abs=1e-5)
    made, y = head(AdaCos(), W).train(), torch.tensor([label])
    first = made.memory.scale.item()
    assert first == pytest.approx(math.sqrt(2) * math.log(2))
    value = made(10 * X, y)
    others = math.log(math.exp(first * other) + math.exp(-first * 0.98994949))
    assert made.memory.scale.item() == pytest.approx(max(others / cosine, 1), abs=1e-6)
    near(value, head(NormFace(scale=made.memory.scale.item()), W)(X, y))


def test_unified_thresholds_begin_where_published():
    assert PrototypeHead(SphereFace2(), 2, 10572).memory.bias.item() == pytest.approx(5.581649, abs=1e-6)
    assert PrototypeHead(UniFace(), 2, 3).memory.bias.item() == pytest.approx(math.log(30), abs=1e-6)
    assert head(UniFace(scale=10), W)(X, Y).item() == pytest.approx(3.108488, abs=1e-6)


def test_sphereface2_is_its_formula():
    made = head(SphereFace2(scale=10, power=2, margin=0.1, weight=3), W)
    b, sp = made.memory.bias.item(), lambda z: math.log1p(math.exp(z))
    own, other, far = (2 * ((t + 1) / 2) ** 2 - 1 for t in (0.8, 0.6, -0.98994949))
    want = 0.7 * sp(-10 * (own - 0.1) - b) + 0.3 * (sp(10 * (other + 0.1) + b) + sp(10 * (far + 0.1) + b))
    assert made(X, Y).item() == pytest.approx(3 / 10 * want, abs=1e-6)


def test_uniface_takes_no_notice_beyond_its_clamp():
    """Far on the wrong side both arguments stop at s: the loss there is 2s, and pulls nowhere."""
    made, x = head(UniFace(scale=30), [[1, 0], [-1, 0]]), tensor([[-1, 0.01]]).requires_grad_()
    made.memory.bias.data.zero_()
    value = made(x, Y)
    value.sum().backward()
    assert value.item() == pytest.approx(30 + 29.9985, abs=1e-3) and x.grad.abs().max() < 1
    made.memory.bias.data.fill_(-5)
    assert made(x, Y).item() == pytest.approx(30 + 30, abs=1e-6)


def test_unitsface_is_its_formula():
    made = head(UniTSFace(base=NormFace(scale=10), scale=10, margin=0.1, weight=0.5), W).train()
    bare = head(NormFace(scale=10), W)(X, Y).item()
    made(tensor([[1, 0], [0, 2], [0, -3]]), torch.tensor([0, 1, 1]))  # class 2 was never seen, class 1 last at −90°
    near(made.memory.feature, tensor([[1, 0], [0, -1], [0, 0]]))
    made.end_epoch()
    value = made(X, Y).item()
    bias = 10 * -0.6  # the one other sample that there is
    assert made.memory.bias.item() == pytest.approx(bias)
    yes, no = math.log1p(math.exp(bias - 10 * (0.8 - 0.1))), math.log(2)
    assert value == pytest.approx(bare + 0.5 * (yes + no), abs=1e-6)
    near(made.memory.feature, tensor([[0.8, 0.6], [0, -1], [0, 0]]))
    made(tensor([[0.1, 2]]), Y)
    assert made.memory.bias.item() == pytest.approx(bias)  # from there on it is learned
    made.memory.feature.copy_(tensor([[0.8, 0.6], [0, -1], [0, 0]]))
    made.eval().memory.bias.data.fill_(8)
    sp, own = lambda z: math.log1p(math.exp(z)), head(NormFace(scale=10), W)
    near(made(X, Y) - own(X, Y), tensor([0.5 * (sp(8 - 9) + sp(-6 - 8))]))
    unseen = torch.tensor([2])  # nothing to be near to yet
    near(made(X, unseen) - own(X, unseen), tensor([0.5 * (sp(10 - 8) + sp(-6 - 8))]))


def test_normface_learns_its_scale_down_to_a_limit():
    made = head(NormFace(scale=10, learned=True), W)
    made(X, Y).sum().backward()
    step = 1e-4
    around = [head(NormFace(scale=10 + sign * step), W)(X, Y).item() for sign in (1, -1)]
    assert made.memory.scale.grad.item() == pytest.approx((around[0] - around[1]) / (2 * step), rel=1e-5)
    made.memory.scale.data.fill_(-3)
    near(made.logits(X), 0.01 * made.angles(X, Y).cosine)


def test_dynarcface_gives_room_a_margin():
    """The class at 0 degrees has its nearest neighbour at 60, the one at 180 at 120."""
    loss = DynArcFace(knee=0.8, slope=0.2, margin=0.25)
    at = tensor([0, 60, 180]).deg2rad()
    made = head(loss, torch.stack([at.cos(), at.sin()], 1))
    got = loss.margins(made.angles(X.expand(2, 2), torch.tensor([0, 2])))
    far = tensor([60, 120]).deg2rad() - 0.8
    near(got, 0.2 * far + 0.25 + 0.03 * 0.25 / (1 + (20 * far) ** 1.1))
    close = head(DynArcFace(knee=2.5, slope=0.2, margin=0.25), made.prototypes)  # nobody has room beyond the knee
    near(
        close.loss.margins(close.angles(X, Y)),
        tensor([0.25 + 0.0075 / (1 + (20 * (2.5 - math.pi / 3)) ** 1.1)]),
    )


# KappaFace: resultant lengths and sizes of three classes
R, SIZES = tensor([0.9, 0.6, 0.75]), tensor([10, 40, 20])


@pytest.mark.parametrize(
    ("dim", "mix", "psi"),
    [
        (2, "code", [0.532340, 0.405791, 0.535546]),
        (2, "paper", [0.707081, 0.178292, 0.512764]),
        (512, "code", [0.531987, 0.404468, 0.537264]),
        (512, "paper", [0.706900, 0.177605, 0.513663]),
    ],
)
def test_kappaface_weighs_classes_as_published(dim, mix, psi):
    near(KappaFace(mix=mix).calibrate(R, SIZES, dim), tensor(psi), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("mix", "by_kappa", "by_count"),
    [
        ("code", [0.389118, 0.577308, 0.534766], [0.866526, 0.005585, 0.537365]),
        ("paper", [0.365311, 0.594306, 0.542545], [0.853553, 0, 0.5]),
    ],
)
def test_kappaface_mixes_a_weight_of_concentration_with_one_of_size(mix, by_kappa, by_count):
    one, other = (KappaFace(mix=mix, balance=share).calibrate(R, SIZES, 2) for share in (1, 0))
    by = (one, other) if mix == "code" else (other, one)
    near(torch.stack(by), tensor([by_kappa, by_count]), rtol=0, atol=1e-6)


def test_kappaface_with_four_classes_has_its_golden_weights():
    r, sizes = tensor([0.5, 0.6, 0.7, 0.8]), tensor([10, 50, 100, 200])
    by_kappa = KappaFace(balance=1).calibrate(r, sizes, 512)
    by_count = KappaFace(balance=0).calibrate(r, sizes, 512)
    near(by_kappa, tensor([0.59201, 0.55304, 0.48929, 0.36763]), rtol=0, atol=1e-5)
    near(by_count, tensor([0.99442, 0.86653, 0.53737, 0.00558]), rtol=0, atol=1e-5)
    near(KappaFace().calibrate(r, sizes, 512), tensor([0.71273, 0.64709, 0.50371, 0.25901]), rtol=0, atol=1e-5)


def test_concentrations_have_their_golden_values():
    from losslab.losses.kappaface import concentration

    near(concentration(R, 2), tensor([5.636842, 1.537500, 2.464286]), rtol=0, atol=1e-6)
    near(concentration(R, 512), tensor([2421.426316, 479.6625, 876.75]), rtol=0, atol=1e-6)
    near(concentration(tensor([0.3]), 512), tensor([168.7615]), rtol=0, atol=1e-4)
    turned = tensor([0, 20, -20, 40]).deg2rad()
    r = torch.stack([turned.cos(), turned.sin()], 1).mean(0).norm()
    assert r.item() == pytest.approx(0.925417, abs=1e-6)
    assert concentration(r, 2).item() == pytest.approx(7.369635, abs=1e-6)
    assert concentration(r, 3).item() == pytest.approx(13.813854, abs=1e-6)


@pytest.mark.parametrize(("psi", "logit", "value"), [(0.532340, 4.806739, 1.458108), (0.707081, 3.538, 2.543824)])
def test_kappaface_multiplies_its_margin(psi, logit, value):
    made = head(KappaFace(scale=10), W)
    made.memory.psi[0] = psi
    assert 10 * made.loss.positive(made.angles(X, Y)).item() == pytest.approx(logit, abs=1e-5)
    assert made(X, Y).item() == pytest.approx(value, abs=1e-5)


@pytest.mark.parametrize(
    ("degrees", "margins"),
    [
        (0, [-0.018127, -0.025918, -0.025918, -0.015352, -0.010516]),
        (10, [-0.007611, -0.010566, -0.015402, 0.000000, 0.000000]),
        (18, [0.000000, 0.000000, -0.007791, 0.010566, 0.007611]),
        (30, [0.010220, 0.013429, 0.002429, 0.023995, 0.017831]),
        (60, [0.030531, 0.037294, 0.022740, 0.047860, 0.038142]),
        (90, [0.045085, 0.051769, 0.037294, 0.062335, 0.052696]),
    ],
)
def test_interface_has_its_golden_margins_to_other_classes(degrees, margins):
    own, loss = math.radians(degrees), {"cc": 0.2, "dc": 0.3, "dd": math.pi / 18}
    x = tensor([[math.cos(own), -math.sin(own)]])
    for (mode, apart), want in zip([("cc", 90), ("dc", 60), ("dc", 90), ("dd", 60), ("dd", 90)], margins, strict=True):
        phi = math.radians(apart)
        made = head(InterFace(mode=mode, middle=loss[mode]), [[1, 0], [math.cos(phi), math.sin(phi)]])
        assert made.loss.margins(made.angles(x, Y))[0, 1].item() == pytest.approx(want, abs=1e-6)


# Terms: what each adds to its base


@pytest.mark.parametrize(
    ("variant", "weight", "value"),
    [
        ("plain", 0.1, 2.201130),  # weight 1 without the factor s
        ("confident", 0.1, 2.028166),
        ("confident", 1, 2.271495),
        ("angle", 1, 2.205962),
        ("ring", 1, 2.624293),
    ],
)
def test_intraloss_has_its_golden_values(variant, weight, value):
    term = IntraLoss(base=ArcFace(scale=10), weight=weight, variant=variant)
    assert head(term, W)(X, Y).item() == pytest.approx(value, abs=1e-6)


def added(term, prepare=lambda memory: None, x=X, y=Y, w=W):
    """What a term adds to its base, [b]."""
    made = head(term, w)
    prepare(made.memory)
    return (made(x, y) - head(term.base, w)(x, y)).detach()


def test_terms_on_prototypes_have_their_golden_values():
    """Over one sample of each class, the mean is the published one over classes."""
    each, x = torch.arange(3), tensor([[1, 0], [0, 1], [1, 1]])
    assert added(RegularFace(), x=x, y=each).mean().item() == pytest.approx(-0.235702, abs=1e-6)
    assert added(UniformFace(), x=x, y=each).mean().item() == pytest.approx(0.372173, abs=1e-6)
    assert added(InterLoss()).item() == pytest.approx(-0.625, abs=1e-6)
    assert added(IntraLoss(weight=1, variant="angle")).item() == pytest.approx(0.204833, abs=1e-6)


def test_ring_loss_has_its_golden_value_and_begins_at_the_mean_length():
    assert added(RingLoss(weight=1), lambda memory: memory.radius.data.fill_(2)).item() == pytest.approx(0.125)
    made = head(RingLoss(), W).train()
    made(tensor([[3, 0], [0, 5]]), torch.tensor([0, 1]))
    assert made.memory.radius.item() == 4
    made(tensor([[30, 0], [0, 50]]), torch.tensor([0, 1]))
    assert made.memory.radius.item() == 4  # from there on it is learned


@pytest.mark.parametrize(("worst", "mean"), [(1, 5), (2, 2 / (1 / 5 + 1 / math.sqrt(18))), (9, 3 / (1.2 + 18**-0.5))])
def test_range_loss_pulls_the_worst_pairs_and_pushes_the_nearest_means(worst, mean):
    """Class 0: distances 5, √18 and 1. Classes 1 and 2: one sample each, no pair."""
    x, y = tensor([[0, 0], [3, 4], [0, 1], [10, 0], [90, 0]]), torch.tensor([0, 0, 0, 1, 2])
    apart = math.hypot(9, 5 / 3)
    got = added(RangeLoss(weight=2, intra=0.5, inter=0.25, worst=worst, margin=10), x=x, y=y)
    near(got, tensor([2 * (0.5 * mean + 0.25 * (10 - apart))] * 5))
    assert (added(RangeLoss(weight=2, intra=0.5, inter=0, worst=worst), x=x[2:], y=y[2:]).abs() < 1e-12).all()


def triplet(degrees, mining, y):
    """The loss of the first sample, with angles between samples and a margin of 0.35."""
    at = tensor(degrees).deg2rad()
    made = head(Triplet(margin=0.35, mining=mining, distance="angle"), W)
    return made(torch.stack([at.cos(), at.sin()], 1), torch.tensor(y))[0].item()


@pytest.mark.parametrize(("mining", "short"), [("hard", [5]), ("semihard", [-10]), ("all", [-10, 5, -70])])
def test_triplets_of_angles(mining, short):
    """An anchor at 0 with an own sample at 20 degrees; others at 30, at −15 and at 90."""
    want = sum(max(0, math.radians(degrees) + 0.35) for degrees in short) / len(short)
    assert triplet([0, 20, 30, -15, 90], mining, [0, 0, 1, 1, 2]) == pytest.approx(want)


def test_semihard_mining_takes_the_farthest_other_where_none_is_far_enough():
    assert triplet([0, 20, 15, -10], "semihard", [0, 0, 1, 1]) == pytest.approx(math.radians(5) + 0.35)
    # As far as the own one is not farther: the one at 30 it is.
    assert triplet([0, 20, -20, 30], "semihard", [0, 0, 1, 1]) == pytest.approx(math.radians(-10) + 0.35)


CENTRES = [[1.5, 1], [2.5, 2.5], [0, -1]]  # squared distances 0.5, 1.25 and 10.25


def put(memory):
    memory.centre.data.copy_(tensor(CENTRES))


def test_center_loss_pulls_and_moves_its_centre():
    assert added(CenterLoss(weight=1), put).item() == pytest.approx(0.25)
    made = head(CenterLoss(follow=0.5), W).train()
    put(made.memory)
    made(X, Y)
    near(made.memory.centre, tensor([[1.625, 1.125], [2.5, 2.5], [0, -1]]))
    put(made.memory)
    made(X.expand(2, 2), torch.tensor([0, 0]))  # two samples: a third of the way each
    near(made.memory.centre[0], tensor([1.5 + 1 / 6, 1 + 1 / 6]))


@pytest.mark.parametrize(
    ("variant", "margin", "value"),
    [
        ("sum", 1, 0.125),
        ("hardest", 1, 0.25),
        ("soft", 1, 0.826009),
        ("soft", 0, 0.386911),
        ("sum", 0, 0),
        ("hardest", 0, 0),
        ("distance", 1, (1 + math.sqrt(0.5) - math.sqrt(1.25)) / 2),
    ],
)
def test_margin_loss_has_its_golden_values(variant, margin, value):
    term = MarginLoss(weight=1, relative=False, margin=margin, variant=variant)
    assert added(term, put).item() == pytest.approx(value, abs=1e-6)


def test_margin_loss_counts_its_margin_in_distances_between_centres():
    square = (tensor(CENTRES)[:, None] - tensor(CENTRES)).square().sum(2)
    apart = square[~torch.eye(3, dtype=torch.bool)].mean().item()
    pushes = []
    for term in (MarginLoss(weight=1, margin=0.2), MarginLoss(weight=1, margin=0.2 * apart, relative=False)):
        made = head(term, W)
        put(made.memory)
        value = made(X, Y)
        pushes.append((value.detach(), torch.autograd.grad(value.sum(), made.memory.get_parameter("centre"))[0]))
    for one, other in zip(*pushes, strict=True):
        near(one, other)  # the measure itself gets no gradient
