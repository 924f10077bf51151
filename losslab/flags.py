"""What commands share: flags from knobs (their names, what stands for their values, what help says), and where runs
are kept."""

import os
from pathlib import Path
from typing import Any

from losslab.catalogue import Knob, knobs
from losslab.data.faces import FaceSubset

FACE_KNOBS = {name: knob for name, knob in knobs(FaceSubset).items() if name != "seed"}  # that is the recipe's


def kept_runs() -> Path:
    """Where runs are kept if nobody says: $LOSSLAB_RUNS, else runs."""
    return Path(os.path.expanduser(os.environ.get("LOSSLAB_RUNS") or "runs"))


def flag_name(name: str) -> str:
    return name.replace("_", "-")


def as_flag(knob: Knob, default: Any) -> dict[str, Any]:
    """What argparse is told of a knob's flag, but for its name and its type."""
    text = ",".join(map(str, default)) if isinstance(default, tuple) else knob_text(default)
    notes = [
        knob.help,
        knob.between().strip().capitalize() + "." if knob.between() else "",
        f"(default: {text})",
    ]
    switch = {"nargs": "?", "const": True} if isinstance(knob.default, bool) else {}
    return switch | {"metavar": metavar(knob), "help": " ".join(filter(None, notes)).replace("%", "%%")}


def metavar(knob: Knob) -> str:
    if isinstance(knob.default, bool):
        return "true|false"
    return "|".join(map(str, knob.choices)) if knob.choices else knob.symbol or knob.name.upper()


def knob_text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value).lower() if isinstance(value, bool) else str(value)
