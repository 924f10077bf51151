"""Directions, ways along great circles and equal-area discs: right, and finite at every pole."""

import math

import pytest
import torch

from losslab.geometry import (
    angle,
    circle,
    exp_map,
    great_circle,
    lambert,
    lattice,
    log_map,
    sideways,
    tangent,
    unit,
)


def directions(n, dim, seed=0):
    return unit(torch.randn(n, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64))[0]


def test_the_circle_is_even():
    around = circle(8)
    assert around[0].tolist() == [1, 0]
    assert torch.allclose((around * around.roll(1, 0)).sum(1), torch.tensor(math.cos(math.pi / 4)))


@pytest.mark.parametrize("n", [1, 2, 1000])
def test_the_lattice_lies_on_the_sphere(n):
    assert torch.allclose(lattice(n).norm(dim=1), torch.ones(n))


def test_the_lattice_is_even():
    """As many points in any cap as its area says, and none much nearer to its neighbour than others."""
    points = lattice(2000)
    inside = (points @ directions(50, 3).float().T > math.cos(0.5)).float().mean(0)
    assert torch.allclose(inside, torch.tensor((1 - math.cos(0.5)) / 2), atol=0.003)
    cosine = (points @ points.T).fill_diagonal_(-1)
    nearest = angle(cosine.amax(1).clamp(-1, 1))
    assert nearest.max() / nearest.min() < 1.5


def test_a_tangent_is_at_right_angles_and_what_it_leaves_is_radial():
    at, vector = directions(20, 4), torch.randn(20, 4, dtype=torch.float64)
    along = tangent(vector, at)
    assert (along * at).sum(1).abs().max() < 1e-12
    assert torch.allclose(tangent(vector - along, at), torch.zeros_like(at), atol=1e-12)


@pytest.mark.parametrize("dim", [2, 3, 7])
def test_ways_there_and_back(dim):
    at, point = directions(50, dim), directions(50, dim, seed=1)
    step = log_map(point, at)
    assert torch.allclose(step.norm(dim=1), angle((at * point).sum(1)))
    assert torch.allclose(exp_map(step, at), point)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_poles_of_the_logarithm(dtype):
    at = directions(20, 3).to(dtype).requires_grad_()
    here, across = log_map(at, at), log_map(-at, at)
    assert here.norm(dim=1).max() < 1e-6
    assert torch.allclose(across.norm(dim=1), torch.tensor(math.pi, dtype=dtype))
    assert torch.allclose(exp_map(across, at), -at, atol=1e-6)
    assert torch.equal(exp_map(torch.zeros_like(at), at), at)
    (slope,) = torch.autograd.grad((here + across).sum(), at)
    assert slope.isfinite().all()


def test_an_exact_antipode_takes_some_way():
    at = torch.tensor([0.0, 0.0, 1.0])
    assert log_map(-at, at).tolist() == pytest.approx((math.pi * sideways(at)).tolist())
    assert sideways(at).norm() == 1
    assert sideways(at) @ at == 0


def test_a_great_circle_comes_to_what_it_goes_to():
    start, towards = directions(2, 3)
    between = angle(start @ towards)
    places = great_circle(start, towards, torch.stack([torch.zeros_like(between), between, between + math.pi]))
    assert torch.allclose(places, torch.stack([start, towards, -towards]))


@pytest.mark.parametrize("sign", [1, -1])
def test_a_great_circle_to_where_it_starts_or_to_the_antipode(sign):
    start = directions(1, 3)[0]
    places = great_circle(start, sign * start, torch.tensor([0.0, 1.0], dtype=torch.float64))
    assert torch.allclose(places.norm(dim=1), torch.ones(2, dtype=torch.float64))
    assert (places[1] @ start).item() == pytest.approx(math.cos(1))


def test_lambert_keeps_areas():
    """Evenly spread over the sphere, evenly spread over each disc."""
    place, front = lambert(lattice(20_000))
    assert front.float().mean().item() == pytest.approx(0.5, abs=1e-3)
    square = place.square().sum(1)  # of even points in a disc, this is even between 0 and 1
    for half in (front, ~front):
        assert torch.allclose(square[half].sort().values, torch.linspace(0, 1, int(half.sum())), atol=1e-3)


def test_lambert_at_poles_and_limb():
    sphere = torch.tensor([[0.0, 0, 1], [0, 0, -1], [1, 0, 0], [1, 0, -1e-9], [0, 1, 0], [0, 0, 0]])
    place, front = lambert(sphere)
    assert front.tolist() == [True, False, True, False, True, True]
    # What is right in one disc is left in the other.
    assert place.tolist() == [[0, 0], [0, 0], [1, 0], [-1, 0], [0, 1], [0, 0]]
