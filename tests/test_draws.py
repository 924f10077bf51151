"""Draws are a pure function of seed, step and place: normal, independent, and finite at their extremes."""

import pytest
import torch

from losslab.losses.draws import MASK, bell, mixed, normal


def draw(seed=0, step=0, count=100_000, dtype=torch.float64):
    return normal(torch.tensor(seed), torch.tensor(step), count, dtype)


def test_equal_seed_and_step_give_equal_draws_and_others_give_others():
    assert torch.equal(draw(seed=3, step=5), draw(seed=3, step=5))
    several = torch.stack([draw(seed, step) for seed in (0, 1, 2, MASK) for step in (0, 1, 2, 10**9)])
    correlation = torch.corrcoef(several) - torch.eye(len(several), dtype=several.dtype)
    assert correlation.abs().max() < 5 / several.shape[1] ** 0.5


def test_a_longer_batch_begins_with_the_draws_of_a_shorter_one():
    long = draw(count=1000)
    for count in (1, 2, 7, 999):
        assert torch.equal(draw(count=count), long[:count])
    assert draw(count=0).shape == (0,)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_draws_are_standard_normal(dtype):
    found = draw(seed=1, step=7, dtype=dtype)
    assert found.dtype == dtype
    assert abs(found.mean()) < 0.015 and abs(found.std() - 1) < 0.01
    share = torch.tensor([0.001, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 0.999], dtype=torch.float64)
    want = torch.distributions.Normal(0.0, 1.0).icdf(share)
    torch.testing.assert_close(found.double().quantile(share), want, rtol=0, atol=0.08)
    assert ((found[1:] * found[:-1]).mean()).abs() < 0.02  # neighbours know nothing of one another


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_the_outermost_draws_are_finite_and_alike_on_both_sides(dtype):
    low, high = bell(torch.tensor([0, MASK]), dtype)
    assert low.isfinite() and low == -high and 5 < high < 5.5


def test_the_scramble_is_one_to_one():
    bits = torch.arange(2**20) * 4096 + 17
    found = mixed(bits)
    assert len(found.unique()) == len(bits) and 0 <= found.min() and found.max() <= MASK


def test_compiled_draws_are_the_same():
    compiled = torch.compile(normal, fullgraph=True, backend="aot_eager")
    for step in range(3):
        seed = torch.tensor(9)
        assert torch.equal(compiled(seed, torch.tensor(step), 50, torch.float32), draw(9, step, 50, torch.float32))
