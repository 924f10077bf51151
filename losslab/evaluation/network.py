"""A trained network, wherever it is: a run of losslab, weights that losslab exported, or those that others trained."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from losslab import models
from losslab.data.faces.decoded import Form
from losslab.models.iresnet import IResNet
from losslab.models.weights import WeightsError, check, load_weights, read, unwrapped
from losslab.training import Run, RunError, restore

from .embedding import CROPPED

ABOUT = "losslab"  # the key under which exported weights say what they are of


@dataclass(frozen=True, eq=False)
class Network:
    """A network in `eval` on the CPU, and what it takes and gives."""

    model: nn.Module  # images, uint8 [b, *form.shape], red first, to embeddings [b dim]
    name: str  # of the architecture, one of `losslab.models`
    dim: int
    form: Form
    source: str  # what it was read from

    def about(self) -> dict[str, Any]:
        """In what JSON knows."""
        form = self.form
        return {
            "source": self.source,
            "model": self.name,
            "dim": self.dim,
            "size": form.size,
            "crop": form.crop,
            "grey": form.grey,
        }


def open_network(
    path: str | Path,
    model: str | None = None,
    dim: int = 512,
    form: Form = CROPPED,
    colour: Literal["rgb", "bgr"] = "rgb",
) -> Network:
    """The network of a run (its folder), or of a file of weights.

    A run and exported weights say themselves what they are of. Of other weights `model` names the architecture, `dim`
    and `form` what it makes of which images, `colour` what it was trained on. RunError (an OSError) or ValueError where
    there is no network, or another.
    """
    path = Path(path)
    if path.is_dir():
        return of_run(path)
    held = read(path)
    said = held.get(ABOUT) if isinstance(held, dict) else None
    if isinstance(said, dict):
        model, dim, form = described(path.name, said)
    elif model is None:
        raise ValueError(
            f"{path.name} does not say which network its weights are of: add --model, one of "
            f"{', '.join(models.catalogue())}."
        )
    network = models.make(model, dim, form.shape)
    if isinstance(network, IResNet):
        load_weights(network, path, colour)
    else:
        if colour != "rgb":
            raise WeightsError(f"A network of kind {model} takes red first: leave colour out.")
        found, own = unwrapped(path.name, held), network.state_dict()
        check(path.name, found, own)
        network.load_state_dict({name: found.get(name, value) for name, value in own.items()})
    return Network(network.eval(), model, dim, form, path.name)


def of_run(path: Path) -> Network:
    run = Run(path)
    recipe, (channels, size, _) = run.recipe, run.probe.pixels.shape[1:]
    crop = recipe.faces.crop if recipe.faces is not None else 0.0
    network = restore(run, newest=True)[0]
    if blue_first(path):
        turn_around(network)
    return Network(network, recipe.model, recipe.dim, Form(size=size, crop=crop, grey=channels == 1), path.name)


def blue_first(path: Path) -> bool:
    """Whether a run at full scale was trained on images that have blue first; other runs never are."""
    about = path / "scale.json"
    try:
        return about.exists() and json.loads(about.read_text(encoding="utf-8"))["colour"] == "bgr"
    except (OSError, ValueError, KeyError, TypeError):
        raise RunError(f"{about} does not say which colour comes first in the images: the run is damaged.") from None


@torch.no_grad()
def turn_around(network: nn.Module) -> None:
    """Make a network that was trained on images with blue first take them with red first."""
    first = next(part for part in network.modules() if isinstance(part, nn.Conv2d | nn.Linear))
    by_channel = first.weight.unflatten(1, (3, -1))  # of a linear layer too, whose pixels come channel by channel
    first.weight.copy_(by_channel.flip(1).flatten(1, 2))


def described(name: str, said: dict[str, Any]) -> tuple[str, int, Form]:
    """What exported weights say that they are of."""
    try:
        model, dim, size, crop, grey = (said[key] for key in ("model", "dim", "size", "crop", "grey"))
    except KeyError as error:
        raise WeightsError(f"{name} does not say its {error.args[0]}: export it again.") from None
    whole = type(dim) is type(size) is int and 1 <= dim <= 1 << 16 and 1 <= size <= 1 << 12
    if not (whole and isinstance(model, str) and type(crop) is float and 0 <= crop < 1 and type(grey) is bool):
        raise WeightsError(f"{name} says something impossible of its network: export it again.")
    return model, dim, Form(size=size, crop=crop, grey=grey)
