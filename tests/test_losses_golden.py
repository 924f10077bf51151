"""Each loss gives the published or hand-derived numbers."""

import math

import pytest
import torch
from cases import head

from losslab import ArcFace, CosFace, ElasticFace, NormFace, Softmax, SphereFace

# One sample of class 0 in the plane: cosines 0.8, 0.6, -0.989949.
X, W = [[2, 1.5]], [[1, 0], [0, 1], [-math.sqrt(0.5), -math.sqrt(0.5)]]


@pytest.mark.parametrize(
    ("loss", "positive_logit", "value"),
    [
        (NormFace(scale=10), 8.000000, 0.126928),
        (CosFace(scale=10, margin=0.35), 4.500000, 1.701413),
        (ArcFace(scale=10, margin=0.5), 4.144107, 2.001130),
        (ElasticFace(scale=10, margin=0.47, spread=0), 4.415229, 1.771247),
        (ElasticFace(scale=10, margin=0.53, spread=0), 3.869257, 2.242955),
        (ElasticFace(scale=10, margin=0.33, spread=0, variant="cos"), 4.700000, 1.541009),
        (SphereFace(margin=4, easing=0), -2.108000, 3.652866),
        (SphereFace(margin=4, easing=5), 1.315333, 0.799940),
        (NormFace(scale=64), 51.2, 0.000003),
        (CosFace(scale=64, margin=0.35), 28.8, 9.600068),
        (ArcFace(scale=64, margin=0.5), 64 * 0.4144107, 11.877720),
    ],
    ids=str,
)
def test_one_sample_has_its_golden_logit_and_loss(loss, positive_logit, value):
    made, x, label = head(loss, W), torch.tensor(X, dtype=torch.float64), torch.tensor([0])
    a = made.angles(x, label)
    assert (loss.radius(a) * loss.positive(a)).item() == pytest.approx(positive_logit, abs=1e-5)
    assert made(x, label).item() == pytest.approx(value, abs=1e-6)


# Prototypes at 0, 120 and 240 degrees with lengths 0.5, 2 and 3; samples of class 0 on either side of every pole.
DEG = torch.tensor([10.0, 50, 100, 155], dtype=torch.float64).deg2rad()
SAMPLES = torch.stack([DEG.cos(), DEG.sin()], 1) * torch.tensor([[1], [7], [0.3], [2]], dtype=torch.float64)
AXES = torch.tensor([0.0, 120, 240], dtype=torch.float64).deg2rad()
STAR = torch.stack([AXES.cos(), AXES.sin()], 1) * torch.tensor([[0.5], [2], [3]], dtype=torch.float64)


@pytest.mark.parametrize(
    ("loss", "values"),
    [
        (ArcFace(scale=16), [1.5848e-08, 2.416394403746, 25.027603533134, 31.442769805383]),
        (ArcFace(scale=16, beyond="raw"), [1.5848e-08, 2.416394403746, 25.027603533134, 29.074023261849]),
        (ArcFace(scale=16, beyond="clip"), [1.5848e-08, 2.416394403746, 25.027603533134, 29.106440983964]),
        (ArcFace(scale=16, beyond="keep"), [1.5848e-08, 2.416394403746, 25.027603533134, 27.607365496551]),
        (CosFace(scale=16), [1.64369e-07, 1.162644303326, 23.413452775315, 33.207365496550]),
        (NormFace(scale=16), [6.08e-10, 0.008096443287, 17.813452793600, 27.607365496551]),
    ],
    ids=str,
)
def test_a_fan_of_samples_has_its_golden_losses(loss, values):
    got = head(loss, STAR)(SAMPLES, torch.zeros(4, dtype=torch.long))
    torch.testing.assert_close(got, torch.tensor(values, dtype=torch.float64), rtol=1e-4, atol=2e-7)
    torch.testing.assert_close(got[1:], torch.tensor(values[1:], dtype=torch.float64), rtol=0, atol=2e-7)


@pytest.mark.parametrize(
    ("margin", "values"),
    [
        (4, [2.0132e-08, 22.437240361419, 66.778370842672, 106.328070061292]),
        (1.0, [6.08e-10, 0.008096443287, 17.8134528, 27.6073655]),
    ],
)
def test_sphereface_with_its_length_as_scale(margin, values):
    """Embeddings of length 16 take the part of a fixed scale of 16."""
    x = 16 * torch.nn.functional.normalize(SAMPLES)
    got = head(SphereFace(margin=margin, easing=0), STAR)(x, torch.zeros(4, dtype=torch.long))
    torch.testing.assert_close(got, torch.tensor(values, dtype=torch.float64), rtol=1e-4, atol=1e-7)


def test_sphereface_curve_agrees_with_the_integer_polynomial():
    """cos 4θ = 8c⁴ − 8c² + 1, folded."""
    theta = torch.linspace(0, math.pi, 400, dtype=torch.float64)
    c = theta.cos()
    fold = 8 * c**4 - 8 * c**2 + 1
    psi = c.sign() * (2 * c**2 - 1).sign() * fold + 2 * c.sign() + c.sign() * (2 * c**2 - 1).sign() - 3
    torch.testing.assert_close(SphereFace(margin=4, easing=0).curves(theta)[0], psi)


def test_softmax_is_cross_entropy_of_the_plain_product():
    from torch.nn.functional import cross_entropy

    x, w, label = SAMPLES, STAR, torch.tensor([0, 1, 2, 1])
    got = head(Softmax(), w)(x, label)
    torch.testing.assert_close(got, cross_entropy(x @ w.T, label, reduction="none"))
    torch.testing.assert_close(head(Softmax(), w).logits(x), x @ w.T)


def test_the_loss_is_not_clipped_where_the_own_class_is_hopeless():
    """Some heads clamp the probability and stop at 69.08."""
    made = head(ArcFace(scale=128, margin=0.5), [[1, 0], [-1, 0]])
    assert made(torch.tensor([[-1.0, 0]], dtype=torch.float64), torch.tensor([0])).item() > 250
