"""Recipe -> train() yields snapshots -> a run directory."""

from .build import restore
from .images import probe
from .loop import Diverged, train
from .recipe import Recipe, starting
from .run import Probe, Run, RunError, RunWriter, Snapshot, Status, thin

__all__ = [
    "Diverged", "Probe", "Recipe", "Run", "RunError", "RunWriter", "Snapshot", "Status", "probe", "restore",
    "starting", "thin", "train",
]  # fmt: skip
