"""Batch normalisation whose statistics are those of the whole batch, whichever processes hold its parts.

torch's own `SyncBatchNorm` is for GPUs; this one does the same on a CPU.
"""

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


class Sum(torch.autograd.Function):
    """The sum over all processes. Each adds to it, so the gradient of what each has is the sum of all gradients."""

    @staticmethod
    def forward(ctx: object, value: Tensor) -> Tensor:
        value = value.clone()
        dist.all_reduce(value)
        return value

    @staticmethod
    def backward(ctx: object, gradient: Tensor) -> Tensor:
        gradient = gradient.clone()
        dist.all_reduce(gradient)
        return gradient


class SharedBatchNorm(_BatchNorm):
    """Takes the place of `nn.BatchNorm1d` and `2d` where several processes train; each has as many samples."""

    def _check_input_dim(self, x: Tensor) -> None:
        if x.ndim < 2:
            raise ValueError(f"Batch normalisation takes [b c ...]; this is {list(x.shape)}.")

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        wide = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
        over = [axis for axis in range(x.ndim) if axis != 1]
        count = x.numel() // x.shape[1] * dist.get_world_size()
        mean = Sum.apply(wide.sum(over)) / count
        shape = [1, -1, *[1] * (x.ndim - 2)]
        centred = wide - mean.view(shape)
        # In two rounds: a difference of mean squares would lose the digits of a small variance.
        variance = Sum.apply(centred.square().sum(over)) / count
        with torch.no_grad():
            self.num_batches_tracked.add_(1)
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * count / max(1, count - 1), self.momentum)
        normal = centred * (variance + self.eps).rsqrt().view(shape)
        if self.affine:
            normal = normal * self.weight.view(shape) + self.bias.view(shape)
        return normal.to(x.dtype)


def shared(model: nn.Module, device: torch.device) -> nn.Module:
    """The same network with statistics over all processes. Names and values of its weights stay."""
    if device.type == "cuda":
        return nn.SyncBatchNorm.convert_sync_batchnorm(model)
    for name, part in model.named_children():
        if isinstance(part, _BatchNorm):
            made = SharedBatchNorm(part.num_features, part.eps, part.momentum, part.affine)
            made.load_state_dict(part.state_dict())
            for own, before in zip(made.parameters(), part.parameters(), strict=True):
                own.requires_grad_(before.requires_grad)
            setattr(model, name, made.to(device))
        else:
            shared(part, device)
    return model
