"""A trained network for programs without losslab: ONNX, torch.export, or its weights; each checked before it is kept.

Whatever the format, the network takes images as they are, uint8 [batch channels side side], red first, and normalises
them itself; it gives embeddings [batch dim] before they are made unit vectors. What it is of is written into the file.
TorchScript is not written: torch has deprecated it in favour of torch.export.
"""

import copy
import io
import json
import logging
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import losslab
from losslab.evaluation.network import ABOUT, Network, open_network

INPUT, OUTPUT = "images", "embedding"
BATCHES = (1, 2, 5)  # sizes at which a file is checked
NEAR = 1e-4  # how far an embedding may be from PyTorch's, as a share of its length


class ExportError(ValueError):
    """A network that could not be written, or came out as another one; one sentence."""


def export(network: Network, path: str | Path) -> float:
    """Write a network as the name of the file says: `.onnx`, `.pt2` (torch.export) or `.pt` (weights, which torch reads
    with weights_only and losslab by name). All of the file is written or nothing.

    The file is read again, and its embeddings of a few images are compared with PyTorch's in batches of several sizes:
    the largest distance is given back, as a share of an embedding's length. ExportError where it is more than `NEAR`,
    where the file cannot be written, and where the packages for ONNX are not installed.
    """
    path = Path(path)
    if path.suffix not in WRITERS:
        raise ExportError(f"out is {str(path)!r}, but it must end in one of {', '.join(WRITERS)}.")
    if not path.parent.is_dir():
        raise ExportError(f"out is {str(path)!r}, but there is no folder {path.parent}: make it first.")
    writer, reader = WRITERS[path.suffix]
    try:
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
            part = Path(folder, path.name)
            writer(network, part)
            distance = furthest(network, reader(network, part))
            if not distance <= NEAR:
                raise ExportError(
                    f"As {path.suffix} the network gives other embeddings, {distance:.1g} of their length away from "
                    "PyTorch's: nothing was written."
                )
            os.replace(part, path)
    except OSError as error:
        raise ExportError(
            f"{path} cannot be written ({error.strerror or error}): make room there, or choose another --out."
        ) from error
    return distance


def facts(network: Network) -> dict[str, str]:
    """What a program must know that uses the file, as text by name."""
    model, form = network.model, network.form
    return {
        "architecture": network.name,
        "input": f"{INPUT}: uint8 [batch, {', '.join(map(str, form.shape))}], pixels from 0 to 255",
        "output": f"{OUTPUT}: float32 [batch, {network.dim}], not yet unit vectors",
        "colour_order": "grey" if form.grey else "RGB",
        "normalisation": f"inside the network: (pixel - {model.mean}) / {model.spread}",
        "crop": f"{form.crop:g} of the side is cut off around the middle of an image before it is resized",
        "losslab": losslab.__version__,
    }


def some_images(network: Network, count: int) -> Tensor:
    draw = torch.Generator().manual_seed(count)
    return torch.randint(0, 256, (count, *network.form.shape), dtype=torch.uint8, generator=draw)


@torch.no_grad()
def furthest(network: Network, again: Callable[[Tensor], Tensor]) -> float:
    """How far what was read again is from the network, at most, as a share of an embedding's length."""
    distances = []
    for count in BATCHES:
        images = some_images(network, count)
        expected, found = network.model(images), again(images)
        if found.shape != expected.shape:
            return float("inf")
        length = torch.linalg.vector_norm(expected, dim=1).clamp(min=1e-12)
        distances.append(float((torch.linalg.vector_norm(found - expected, dim=1) / length).max()))
    return float(np.max(distances))  # not a number, where one is not


def plain(model: nn.Module) -> nn.Module:
    """A copy whose weights lie in memory in the usual order: files of others are read with a warning."""
    copied = copy.deepcopy(model)
    for weight in copied.parameters():
        weight.data = weight.data.contiguous()
    return copied


def example(network: Network) -> dict[str, Any]:
    """What the network is traced with: two images (of one, the number would be taken for a fixed one), any number."""
    return {"args": (some_images(network, 2),), "dynamic_shapes": ({0: torch.export.Dim("batch", min=1)},)}


# -- the formats -----------------------------------------------------------------------------------------


def write_onnx(network: Network, path: Path) -> None:
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ExportError(
            f'ONNX is written and checked with {error.name}, which is not here: pip install "losslab[export]".'
        ) from None
    with quiet():
        program = torch.onnx.export(
            plain(network.model),
            **example(network),
            dynamo=True,
            verbose=False,
            input_names=[INPUT],
            output_names=[OUTPUT],
        )
    assert program is not None  # as it would be for a path given to it
    program.model.metadata_props.update(facts(network))
    program.save(path, external_data=False)


@contextmanager
def quiet() -> Iterator[None]:
    """Without what torch's own code says to its authors while it writes ONNX: that it uses what it has deprecated, and
    that torchvision, which is not needed, is not here."""
    log = logging.getLogger("torch.onnx._internal.exporter._registration")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*LeafSpec.*", FutureWarning)
            yield
    finally:
        log.setLevel(before)


def read_onnx(network: Network, path: Path) -> Callable[[Tensor], Tensor]:
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda images: torch.from_numpy(session.run([OUTPUT], {INPUT: images.numpy()})[0])


def write_program(network: Network, path: Path) -> None:
    program = torch.export.export(plain(network.model), **example(network))
    whole = io.BytesIO()  # Where torch itself finds a disk full, it ends the program.
    torch.export.save(program, whole, extra_files={"losslab.json": json.dumps(facts(network), indent=2)})
    path.write_bytes(whole.getbuffer())


def read_program(network: Network, path: Path) -> Callable[[Tensor], Tensor]:
    return torch.export.load(path).module()


def write_weights(network: Network, path: Path) -> None:
    with path.open("wb") as file:  # of Python, which says what went wrong
        torch.save({"state_dict": network.model.state_dict(), ABOUT: network.about(), "facts": facts(network)}, file)


def read_weights(network: Network, path: Path) -> nn.Module:
    return open_network(path).model


Writer = Callable[[Network, Path], None]
Reader = Callable[[Network, Path], Callable[[Tensor], Tensor]]
WRITERS: dict[str, tuple[Writer, Reader]] = {
    ".onnx": (write_onnx, read_onnx),
    ".pt2": (write_program, read_program),
    ".pt": (write_weights, read_weights),
}
