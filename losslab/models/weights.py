"""Weights that others trained, by the names that they gave them.

Two namings are known: insightface's, which is ours (`layer1.0.bn1.weight`), and AdaFace's (`body.0.res_layer.0.weight`;
also CVLface's and TFace's). Wrappings around them ("state_dict", "module.", "model.", "backbone.") are taken off.
"""

import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from .iresnet import IResNet

WRAPPED = (
    "state_dict",
    "state_dict_backbone",
    "model_state_dict",
    "model",
    "backbone",
    "net",
    "weights",
)  # keys that hold the weights
PREFIXES = ("module.", "model.", "backbone.", "net.", "encoder.", "features.module.")
HEADS = ("head.", "fc_head.", "classifier.", "kernel", "loss.")  # of the training, not of the network

# AdaFace's names of the layers of a block and of the ends, as ours.
OF_BLOCK = {
    "res_layer.0": "bn1",
    "res_layer.1": "conv1",
    "res_layer.2": "bn2",
    "res_layer.3": "prelu",
    "res_layer.4": "conv2",
    "res_layer.5": "bn3",
    "shortcut_layer.0": "downsample.0",
    "shortcut_layer.1": "downsample.1",
}
OF_ENDS = {
    "input_layer.0": "conv1",
    "input_layer.1": "bn1",
    "input_layer.2": "prelu",
    "output_layer.0": "bn2",
    "output_layer.3": "fc",
    "output_layer.4": "features",
}


class WeightsError(ValueError):
    """Weights that are not those of the network; one sentence."""


def load_weights(model: IResNet, path: str | Path, colour: Literal["rgb", "bgr"] = "rgb") -> None:
    """Give `model` the weights in a file (.pth, .pt, .ckpt, as torch writes them).

    `colour` is what the network was trained on. AdaFace's published weights take blue first ("bgr"), insightface's red
    first. Images here are red first, so for "bgr" the first convolution's channels are turned around.

    WeightsError for a file that is missing or that cannot be read without running a program in it, and for names or
    shapes that are not those of `model`; the model is then as it was.
    """
    path = Path(path)
    if not isinstance(model, IResNet):
        raise WeightsError(f"Weights of others go into an IResNet, and this network is a {type(model).__name__}.")
    if colour not in ("rgb", "bgr"):
        raise WeightsError(f"colour is {colour!r}, but it must be rgb or bgr: what the weights were trained on.")
    found = renamed(unwrapped(path.name, read(path)), model)
    own = model.state_dict()
    check(path.name, found, own)
    if colour == "bgr":
        found["conv1.weight"] = found["conv1.weight"].flip(1)
    model.load_state_dict({name: found.get(name, value) for name, value in own.items()})


def read(path: Path) -> Any:
    """What torch wrote into a file, if it is tensors and plain values."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise WeightsError(f"{path.name} cannot be read ({error.strerror}): look whether it is there.") from None
    except pickle.UnpicklingError:
        raise WeightsError(
            f"{path.name} holds more than weights, or something else, and is not opened, for it could run a program: "
            "save its state_dict alone."
        ) from None
    except Exception as error:  # Of a damaged file torch raises many kinds.
        raise WeightsError(f"{path.name} is no file of weights, or a damaged one: get it again.") from error


def unwrapped(name: str, found: Any) -> dict[str, Tensor]:
    """The tensors by their names, without what training programs put around them."""
    for _ in WRAPPED:  # No deeper: a hostile file may hold itself.
        if isinstance(found, Mapping):
            found = next((found[key] for key in WRAPPED if isinstance(found.get(key), Mapping)), found)
    named = found.items() if isinstance(found, Mapping) else ()
    weights = {key: each for key, each in named if isinstance(key, str) and isinstance(each, Tensor)}
    if not weights:
        raise WeightsError(f"{name} has no weights by name in it: save the network's state_dict.")
    while prefix := next((each for each in PREFIXES if any(key.startswith(each) for key in weights)), None):
        # What does not have the prefix, beside things that have it, is another part of the training.
        weights = {key.removeprefix(prefix): each for key, each in weights.items() if key.startswith(prefix)}
    return weights


def renamed(weights: dict[str, Tensor], model: IResNet) -> dict[str, Tensor]:
    """The same by our names, if they are AdaFace's."""
    weights = {name: each for name, each in weights.items() if not name.startswith(HEADS)}
    if not any(name.startswith("input_layer.") for name in weights):
        return weights
    places = [f"layer{stage}.{i}" for stage, blocks in enumerate(model.blocks, start=1) for i in range(blocks)]
    found = {}
    for name, each in weights.items():
        layer, _, part = name.rpartition(".")
        inside = re.fullmatch(r"body\.(\d+)\.(.+)", layer)
        if inside and int(inside[1]) < len(places) and inside[2] in OF_BLOCK:
            layer = f"{places[int(inside[1])]}.{OF_BLOCK[inside[2]]}"
        found[f"{OF_ENDS.get(layer, layer)}.{part}"] = each
    return identities(model, found) | found


def identities(model: IResNet, found: dict[str, Tensor]) -> dict[str, Tensor]:
    """What AdaFace leaves out. Its first block, where the number of channels stays, passes on every second pixel as it
    is, where ours has a convolution; its last normalisation has no weight and no offset."""
    made = {}
    if not any(name.startswith("layer1.0.downsample.") for name in found):
        conv, norm = model.layer1[0].downsample
        made |= {
            "layer1.0.downsample.0.weight": torch.eye(conv.out_channels)[:, :, None, None],
            **unchanged("layer1.0.downsample.1", norm),
        }
    made |= {
        name: each for name, each in unchanged("features", model.features).items() if name[9:] in ("weight", "bias")
    }
    return made


def unchanged(name: str, norm: nn.BatchNorm1d | nn.BatchNorm2d) -> dict[str, Tensor]:
    """A normalisation that leaves everything as it is."""
    one, zero = torch.ones(norm.num_features), torch.zeros(norm.num_features)
    return {
        f"{name}.weight": one,
        f"{name}.bias": zero,
        f"{name}.running_mean": zero,
        f"{name}.running_var": one - norm.eps,
    }


def check(name: str, found: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> None:
    """WeightsError unless names and shapes are those of `own`. How many batches a normalisation saw may be missing."""
    counts = {key for key in own if key.endswith("num_batches_tracked")}
    missing, extra = sorted(own.keys() - counts - found.keys()), sorted(found.keys() - own.keys())
    if missing:
        raise WeightsError(f"{name} has no {listed(missing)}: these weights are of another network.")
    if extra:
        raise WeightsError(f"{name} has {listed(extra)}, which this network has not: the weights are of another one.")
    for key, each in found.items():
        if each.shape != own[key].shape:
            theirs, mine = (" x ".join(map(str, tensor.shape)) or "1" for tensor in (each, own[key]))
            of_size = key.startswith(("fc.", "features."))
            remedy = (
                "make the network for the image size and the length of embedding that they were trained with"
                if of_size
                else "these weights are of another network"
            )
            raise WeightsError(f"{name} has {theirs} numbers in {key} where this network has {mine}: {remedy}.")
        if key not in counts and not (each.is_floating_point() and each.layout == torch.strided):
            raise WeightsError(f"{name} has in {key} something else than plain numbers: save the weights as floats.")
        if key not in counts and not each.isfinite().all():
            raise WeightsError(f"{name} has in {key} numbers that are not finite: the training diverged, or it broke.")


def listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"
