"""Images to embeddings, the batches divided over processes."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from losslab.data.faces.decode import fitted
from losslab.data.faces.decoded import Form

from .sets import FaceSet

CROPPED = Form(size=112, crop=0.0, grey=False)  # the faces of the field
BATCH = 128  # images in one forward pass
AHEAD = 2  # batches that are decoded while one is embedded
READERS = 4  # threads that decode


@torch.inference_mode()
def embedded(
    model: nn.Module,
    faces: FaceSet,
    device: torch.device | str,
    place: tuple[int, int],
    form: Form,
    flip: bool,
    tell: Callable[[int, int], None] | None,
) -> Tensor:
    """Process `place[0]`'s share of the embeddings [n_r d], of `place[1]` processes; one after the other they are those
    of all images. [0 0] where there are fewer batches than processes."""
    network = model.module if isinstance(model, DistributedDataParallel) else model
    rank, size = place
    starts = range(0, len(faces), BATCH)
    own = starts[len(starts) * rank // size : len(starts) * (rank + 1) // size]
    batches = [range(start, min(start + BATCH, len(faces))) for start in own]
    done, total = 0, sum(map(len, batches))
    found = []
    with at_rest(network):
        for images in decoded(faces, batches, form):
            images = images.to(device)
            embedding = network(images)
            found.append((embedding + network(images.flip(3)) if flip else embedding).float().cpu())
            done += len(images)
            if tell is not None:
                tell(done, total)
    return torch.cat(found) if found else torch.zeros(0, 0)


def decoded(faces: FaceSet, batches: list[range], form: Form) -> Iterator[Tensor]:
    """Each batch's images, uint8 [b channels side side], decoded by threads a little ahead."""

    def one(i: int) -> np.ndarray:
        return fitted(faces.image(i), form.size, form.crop, form.grey)

    waiting: deque[list[Future[np.ndarray]]] = deque()
    with ThreadPoolExecutor(READERS) as pool:
        try:
            for batch in batches:
                waiting.append([pool.submit(one, i) for i in batch])
                if len(waiting) > AHEAD:
                    yield stacked(waiting.popleft())
            while waiting:
                yield stacked(waiting.popleft())
        finally:
            pool.shutdown(cancel_futures=True)


def stacked(images: list[Future[np.ndarray]]) -> Tensor:
    return torch.from_numpy(np.stack([image.result() for image in images]))


@contextmanager
def at_rest(model: nn.Module) -> Iterator[None]:
    """The model in `eval`; every part of it is afterwards as it was."""
    before = [(part, part.training) for part in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for part, training in before:
            part.training = training
