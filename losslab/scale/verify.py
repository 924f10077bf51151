"""A network in training, verified on people that it never sees."""

import copy
from pathlib import Path

from losslab.data.faces import pair_set
from losslab.data.faces.decoded import Form
from losslab.evaluation import PairSet, Result, evaluate
from losslab.evaluation.network import turn_around

from .engine import Engine
from .processes import Processes
from .recipe import ScaleRecipe


class Verifier:
    """Verifies on pair sets of the data folder, on all processes."""

    def __init__(
        self, names: tuple[str, ...], recipe: ScaleRecipe, processes: Processes, folder: Path | None = None
    ) -> None:
        """ValueError where there is no such set."""
        self.sets = [PairSet(pair_set(name, folder), name) for name in names]
        self.form = Form(size=recipe.size, crop=0.0, grey=recipe.colour == "grey")
        self.turned, self.processes = recipe.colour == "bgr", processes

    def results(self, engine: Engine) -> list[Result]:
        """Of the averaged weights, where there are some. Every process calls it and gets the same."""
        if not self.sets:
            return []
        network = copy.deepcopy(engine.network)
        if engine.average:
            network.load_state_dict(engine.average)
        if self.turned:
            turn_around(network)
        return evaluate(network, self.sets, self.processes.device, self.processes.group, form=self.form)
