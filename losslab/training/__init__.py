"""Recipe -> train() yields snapshots -> a run directory."""

from .branch import branched, in_force, upcoming
from .build import head_at, restore
from .images import probe
from .loop import Diverged, train
from .recipe import Recipe
from .record import record
from .run import Probe, Run, RunError, RunWriter, Snapshot, Status, thin

__all__ = [
    "Diverged", "Probe", "Recipe", "Run", "RunError", "RunWriter", "Snapshot", "Status", "branched", "head_at",
    "in_force", "probe", "record", "restore", "thin", "train", "upcoming",
]  # fmt: skip
