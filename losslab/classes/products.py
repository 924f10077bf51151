"""Products of matrices, in the precision asked for and with results in full."""

from functools import cache

import torch
from torch import Tensor


class Products:
    """x·yᵀ of float32 or float64 matrices; with `half`, of what they are in that type, but added up in float32.

    A tensor core multiplies half precision much faster. Where there is none that returns float32, the result is the
    same and only the speed is not.
    """

    def __init__(self, half: torch.dtype | None = None) -> None:
        self.half = half

    def ready(self, x: Tensor) -> Tensor:
        """`x` as `times` takes it: once for a matrix that is multiplied often."""
        if self.half is None or x.dtype != torch.float32:
            return x
        rounded = x.to(self.half)
        return rounded if x.device.type == "cuda" else rounded.float()

    def small(self, gradient: Tensor) -> tuple[Tensor, Tensor | None]:
        """A gradient `ready` to be multiplied, and by what the product must be multiplied then."""
        if self.half is not torch.float16 or gradient.dtype != torch.float32:
            return self.ready(gradient), None
        # This type has few exponents, and gradients of a mean over a large batch are small.
        size = gradient.abs().amax().clamp(min=1e-30)
        return self.ready(gradient / size), size

    def times(self, x: Tensor, y: Tensor, size: Tensor | None = None) -> Tensor:
        """[m n] from x [m d] and y [n d], both `ready`; `size` times that."""
        if x.dtype in (torch.float16, torch.bfloat16):
            found = torch.mm(x, y.T, out_dtype=torch.float32)
        elif x.dtype == torch.float32 and x.device.type == "cpu" and onednn():
            found = torch.ops.mkldnn._linear_pointwise(x, y, None, "none", [], "")
        else:
            found = x @ y.T
        return found if size is None else found.mul_(size)


@cache
def onednn() -> bool:
    """Is oneDNN's float32 product here? On processors that MKL was not written for it takes half of its time."""
    return torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")
