"""How well a network tells people apart, on the sets that papers report: `.bin` pairs, and IJB-B and IJB-C 1:1.

`evaluate(model, sets, device, group)` embeds every image once, divided over the processes of a group, and gives the
same numbers to all of them. It may be called in the midst of training.
"""

from .embedding import CROPPED
from .evaluate import evaluate
from .ijb import Templates, read_ijb
from .network import Network, open_network
from .report import Result, table, write
from .sets import FaceSet, PairSet

__all__ = [
    "CROPPED",
    "FaceSet",
    "Network",
    "PairSet",
    "Result",
    "Templates",
    "evaluate",
    "open_network",
    "read_ijb",
    "table",
    "write",
]
