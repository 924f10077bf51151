"""Which device a process computes on."""

import os

import torch


def best_device() -> str:
    """The GPU if there is one, else the CPU."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def own_device(name: str | None = None) -> torch.device:
    """The device of this process: the one that is named, or its own among the GPUs of a machine that torchrun started
    several processes on. ValueError where it has none."""
    several = int(os.environ.get("WORLD_SIZE", "1")) > 1
    if name is None and several and not torch.cuda.is_available():
        name = "cpu"  # Apple's GPUs know no groups
    try:
        device = torch.device(name or best_device())
    except RuntimeError:
        raise ValueError(f"There is no device {name!r}: name cpu, cuda or mps, or leave --device out.") from None
    if device.type != "cuda":
        return device
    local = int(os.environ.get("LOCAL_RANK", "0"))
    there, wanted = torch.cuda.device_count(), int(os.environ.get("LOCAL_WORLD_SIZE", local + 1))
    if there < wanted:
        raise ValueError(f"There are {there} GPUs on this machine for {wanted} processes: start as many as GPUs.")
    device = torch.device("cuda", local if device.index is None else device.index)
    torch.cuda.set_device(device)
    return device
