"""Sets in, numbers out, on all processes of a group."""

from collections.abc import Callable, Sequence

import torch
from torch import nn
from torch.distributed import ProcessGroup

from losslab.data.faces.decoded import Form
from losslab.group import place

from .embedding import CROPPED, embedded
from .group import gathered, texts, together
from .report import Result, from_json, to_json
from .sets import FaceSet

Progress = Callable[[str, int, int], None]
"""Told the name of a set, and how many of how many of its images this process has embedded."""


def evaluate(
    model: nn.Module,
    sets: Sequence[FaceSet],
    device: torch.device | str,
    group: ProcessGroup | None = None,
    *,
    form: Form = CROPPED,
    flip: bool = True,
    progress: Progress | None = None,
) -> list[Result]:
    """The numbers of a network on each set, the same list on every process.

    Args:
        model: from images, uint8 [b channels side side], red first, to embeddings [b d]; on `device`. It is used in
            `eval` and is afterwards as it was. What `DistributedDataParallel` wraps is taken out of it.
        device: where the model is.
        group: the processes that divide the images among them, all of which call this with equal arguments; None:
            this one alone. The division does not change the numbers: batches are the same whoever embeds them.
        form: what the network takes every image as.
        flip: whether an embedding is the sum of the image's and its mirror image's, as the field verifies.

    ValueError where an image cannot be read or an embedding is not finite: on every process, with one sentence.
    """
    results = []
    for faces in sets:
        with together(group):
            tell = None if progress is None else lambda done, total, name=faces.name: progress(name, done, total)
            own = embedded(model, faces, device, place(group), form, flip, tell)
        embedding = gathered(own, group)
        with together(group):
            found = [] if embedding is None else faces.measured(embedding.numpy())
        results += from_json(texts(to_json(found), group)[0])
    return results
