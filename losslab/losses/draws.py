"""Random numbers as a pure function of (seed, step, position): nothing to carry along, nothing to divide.

The same place in a batch at the same step gets the same draw on every device, under `torch.compile`, and in a batch of
any length. Only products below 2^63 are formed, so that whole numbers never overflow.
"""

import torch
from torch import Tensor

MASK = 0xFFFFFFFF


def mixed(bits: Tensor) -> Tensor:
    """A one-to-one scramble of 32-bit numbers (held in int64)."""
    for factor in (0x45D9F3B, 0x45D9F3B):
        bits = ((bits >> 16) ^ bits) * factor & MASK
    return (bits >> 16) ^ bits


def normal(seed: Tensor, step: Tensor, count: int, dtype: torch.dtype) -> Tensor:
    """[count] standard normal numbers for this seed and step (int64, without dimensions)."""
    return bell(bits(seed, step, count), dtype)


def bits(seed: Tensor, step: Tensor, count: int, at: int = 0) -> Tensor:
    """[count] random 32-bit numbers for this seed and step, those of the places from `at` on."""
    key = mixed(mixed(seed & MASK) ^ mixed((step + 1) * 0x3C6EF37 & MASK))
    position = torch.arange(at, at + count, device=step.device)
    return mixed(mixed(position ^ key) + key & MASK)


def bell(bits: Tensor, dtype: torch.dtype) -> Tensor:
    """Standard normal numbers from 32-bit ones, of which the upper 24 count."""
    # The middle of each of 2^24 steps from −1 to 1, as whole numbers that float32 can hold: never ±1 itself.
    middle = 2 * (bits >> 8) + 1 - 2**24
    return 2**0.5 * torch.erfinv(middle.to(dtype) / 2**24)
