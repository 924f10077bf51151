"""How long do ten classes of digits take? Against a DataLoader loop over the same model, head and schedule."""

import json
import math
import subprocess
import sys
from collections import defaultdict

from .browser import ROOT
from .report import Row, Table

HOW = (
    "The default recipe (3-D, ArcFace, 8 000 images, 10 epochs), each try in a fresh process with a seed of its own, "
    "from before the data is loaded. Peer: a `Dataset` gives one shifted float image at a time to a `DataLoader`; "
    "the network, head, optimiser, schedule and batch are ours, and so is looking at the test part once an epoch. "
    "Ours also makes about a hundred snapshots of a probe."
)
WHO = ("ours", "ours-probe-2", "loader-0", "loader-2")


def measure(*, quick: bool) -> list[Table]:
    found = {who: defaultdict(list) for who in WHO}
    for seed in range(1 if quick else 3):
        for who in WHO:  # taking turns: what disturbs the machine for a while disturbs all
            for name, value in fresh(who, seed).items():
                found[who][name].append(math.inf if value is None else value)  # None: that accurate it never was
    rows = []
    for workers in (0, 2):
        for name, what in {"enough": "97 % test accuracy", "all": "the whole recipe"}.items():
            peer = found[f"loader-{workers}"][name]
            goals = {"target": 4, "target_ratio": 5} if name == "enough" else {}
            rows.append(Row(f"{what}; DataLoader, num_workers={workers}", found["ours"][name], peer, **goals))
    rows.append(
        Row("the whole recipe, probe=2; peer: ours with probe=1000", found["ours-probe-2"]["all"], found["ours"]["all"])
    )
    per_cent = {who: [100 * value for value in found[who]["accuracy"]] for who in WHO}
    rows.append(
        Row("test accuracy at the end; DataLoader, num_workers=0", per_cent["ours"], per_cent["loader-0"], "%", True)
    )
    return [Table("The bundled MNIST", HOW, rows)]


def fresh(who: str, seed: int) -> dict[str, float | None]:
    """Train once in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.digits", who, str(seed)]
    return json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout)
