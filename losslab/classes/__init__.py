"""Classes divided over processes (space) and over tiles (time): the only place that knows.

A head whose table of cosines [b C] would not fit looks at the classes in pieces: each process has some of them, and
each process takes its own a tile at a time. Both are the same to a loss, which sees an `Angles` in either case; only
reductions over classes, and what is asked of the own class, need to know more, and that is here.

- `division`   which classes are whose, and which are looked at in a step
- `processes`  what processes say to one another, and its gradients
- `tables`     a learned row for each class, and where its gradient goes
- `tiles`      what a loss sees of one tile, and reductions over all of them
- `products`   products of matrices in the precision asked for
- `batch`      one batch, from embeddings to what a loss sees
"""

from .batch import Batch
from .division import Division, drawn
from .processes import Gathered, Processes, Traffic
from .tables import FoldedSGD

__all__ = ["Batch", "Division", "FoldedSGD", "Gathered", "Processes", "Traffic", "drawn"]
