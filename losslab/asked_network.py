"""The flags that name a trained network, and the network that they name."""

import argparse
import json
from pathlib import Path

import torch

from losslab import models
from losslab.data.faces.decoded import Form
from losslab.evaluation import Network, open_network
from losslab.evaluation.network import blue_first, turn_around
from losslab.flags import kept_runs
from losslab.training import RunError


def add_network(parser: argparse.ArgumentParser) -> None:
    """The flags that name a trained network."""
    parser.add_argument("network", metavar="NETWORK", help="a run (its folder or its name), or a file of weights")
    weights = parser.add_argument_group("weights", "what a file of weights is of, where it does not say so itself")
    weights.add_argument("--model", metavar="|".join(models.catalogue()), help="the network")
    weights.add_argument("--dim", type=int, default=512, help="length of an embedding (default: 512)")
    weights.add_argument("--size", type=int, default=112, help="side of its images in pixels (default: 112)")
    weights.add_argument("--grey", action="store_true", help="its images have one channel")
    weights.add_argument(
        "--colour",
        default="rgb",
        metavar="rgb|bgr",
        help="which colour comes first in the images that it was trained on (default: rgb)",
    )


def asked_network(arguments: argparse.Namespace) -> Network:
    """The network that the flags of `add_network` name."""
    path = Path(arguments.network)
    if not path.exists() and (kept_runs() / path).is_dir():
        path = kept_runs() / path
    form = Form(size=arguments.size, crop=0.0, grey=arguments.grey)
    if arguments.dim < 1 or arguments.size < 1:
        raise ValueError("--dim and --size must be 1 or more.")
    return of_checkpoint(path) or open_network(path, arguments.model, arguments.dim, form, arguments.colour)


def of_checkpoint(run: Path) -> Network | None:
    """The network of a run at full scale as of its newest checkpoint, averaged over the steps where the recipe has it
    so; None for what is no such run, or has no checkpoint yet."""
    if not (run / "scale.json").exists():
        return None
    from losslab.scale import ScaleRecipe, checkpoint  # only here: torch's own checkpoints take long to import
    from losslab.scale.engine import AVERAGE, network
    from losslab.scale.processes import Processes, ScaleError
    from losslab.scale.training import ABOUT, CHECKPOINTS

    newest = checkpoint.found(run / CHECKPOINTS)[-1:]
    if not newest:
        return None
    try:
        recipe = ScaleRecipe.from_dict(json.loads((run / ABOUT).read_text(encoding="utf-8")))
        made = network(recipe).eval()
        kept = AVERAGE if recipe.average else "model."
        weights = {kept + name: value for name, value in made.state_dict().items()}
        checkpoint.load(newest[0], weights, Processes(torch.device("cpu")))
    except ScaleError as error:
        raise RunError(str(error)) from None
    if blue_first(run):
        turn_around(made)
    form = Form(size=recipe.size, crop=0.0, grey=recipe.colour == "grey")
    return Network(made, recipe.model, recipe.dim, form, run.name)
