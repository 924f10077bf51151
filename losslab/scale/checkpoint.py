"""Checkpoints that another number of processes can go on from.

A folder for each, written by `torch.distributed.checkpoint`: every process writes its own classes, and what all have
alike is written once. `state.json` beside it says the rest in words and numbers. A checkpoint is written under a name
that nobody reads and gets its own when all of it is on the disk, so a program or a disk that ends in the middle leaves
the last good one as it was.
"""

import io
import json
import os
import pickle
import re
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed.checkpoint as dcp
from torch import Tensor
from torch.distributed.checkpoint import CheckpointException, FileSystemReader, FileSystemWriter
from torch.distributed.checkpoint.default_planner import DefaultLoadPlanner, DefaultSavePlanner
from torch.distributed.checkpoint.metadata import (
    ChunkStorageMetadata,
    Metadata,
    MetadataIndex,
    TensorProperties,
    TensorStorageMetadata,
)
from torch.distributed.checkpoint.planner import TensorWriteData, WriteItem, WriteItemType

from .processes import Processes, ScaleError

NAME = re.compile(r"step-(\d{9})")
SAID = "state.json"
# What the index of a checkpoint is made of. It is a pickle, and a pickle may ask for anything.
ALLOWED = {
    "torch.distributed.checkpoint.metadata": {
        "BytesStorageMetadata", "ChunkStorageMetadata", "Metadata", "MetadataIndex", "StorageMeta",
        "TensorProperties", "TensorStorageMetadata", "_MEM_FORMAT_ENCODING",
    },
    "torch.distributed.checkpoint.filesystem": {"_StorageInfo"},
    "torch": {"Size", "float16", "bfloat16", "float32", "float64", "int32", "int64", "bool", "uint8"},
    "torch.serialization": {"_get_layout"},
    "pathlib": {"PosixPath", "PurePosixPath", "WindowsPath", "PureWindowsPath"},
}  # fmt: skip


@dataclass(frozen=True)
class Share:
    """One process's rows of a tensor that is divided over the processes: rows `first` and on of `total`."""

    rows: Tensor
    first: int
    total: int

    def size(self) -> torch.Size:
        return torch.Size((self.total, *self.rows.shape[1:]))

    def _chunk(self) -> ChunkStorageMetadata:
        return ChunkStorageMetadata(torch.Size((self.first, *(0,) * (self.rows.ndim - 1))), self.rows.shape)

    # How torch.distributed.checkpoint asks what it does not know itself.

    def __create_write_items__(self, name: str, _: object) -> list[WriteItem]:
        about = TensorWriteData(self._chunk(), TensorProperties.create_from_tensor(self.rows), self.size())
        return [WriteItem(MetadataIndex(name, self._chunk().offsets), WriteItemType.SHARD, tensor_data=about)]

    def __create_chunk_list__(self) -> list[ChunkStorageMetadata]:
        return [self._chunk()]


State = dict[str, Tensor | Share]


class Saving(DefaultSavePlanner):
    def lookup_object(self, index: MetadataIndex) -> Any:
        found = self.state_dict[index.fqn]
        return found.rows if isinstance(found, Share) else super().lookup_object(index)


class Loading(DefaultLoadPlanner):
    def set_up_planner(self, state_dict: State, metadata: Metadata | None = None, is_coordinator: bool = False) -> None:
        # As they are: torch's own would look for tensors in them, and find none in a share.
        self.original_state_dict = self.state_dict = state_dict
        self.metadata, self.is_coordinator, self.mappings = metadata, is_coordinator, {}

    def lookup_tensor(self, index: MetadataIndex) -> Tensor:
        found = self.state_dict[index.fqn]
        return found.rows if isinstance(found, Share) else super().lookup_tensor(index)


class SafeReader(FileSystemReader):
    """Reads no pickle that could run code."""

    def read_metadata(self, *args: Any, **named: Any) -> Metadata:
        index = Careful(io.BytesIO((Path(self.path) / ".metadata").read_bytes())).load()
        if not isinstance(index, Metadata):
            raise pickle.UnpicklingError("its index is something else")
        if getattr(index, "storage_meta", None) is None:
            index.storage_meta = self.storage_meta()
        index.storage_meta.load_id = self.load_id
        return index


class Careful(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if name in ALLOWED.get(module, ()):
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"its index asks for {module}.{name}, which no checkpoint needs")


def found(folder: Path) -> list[Path]:
    """The whole checkpoints of a folder, oldest first."""
    there = [each for each in folder.glob("step-*") if NAME.fullmatch(each.name) and (each / SAID).is_file()]
    return sorted(there)


def said(path: Path) -> dict[str, Any]:
    """What a checkpoint says of itself. ScaleError where it cannot be read."""
    try:
        words = json.loads((path / SAID).read_text(encoding="utf-8"))
        if not isinstance(words, dict):
            raise ValueError
        return words
    except (OSError, ValueError):
        raise damaged(path) from None


def save(folder: Path, step: int, state: State, words: dict[str, Any], processes: Processes, keep: int) -> Path:
    """Write a checkpoint of `state` and `words` (which JSON knows) after a step; of those before it, the newest
    `keep` - 1 stay. Every process calls it. ScaleError where the disk does not take it: those before it stay."""
    path = folder / f"step-{step:09d}"
    part = folder / f".{path.name}.part"
    with processes.together(OSError):
        if processes.first:
            folder.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(part, ignore_errors=True)
    fault = ""
    try:
        writer = FileSystemWriter(part, single_file_per_rank=True, sync_files=True)
        with quiet():
            dcp.save(state, storage_writer=writer, planner=Saving(), no_dist=processes.alone)
        if processes.first:
            with (part / SAID).open("w", encoding="utf-8") as file:
                json.dump({"step": step, **words}, file, indent=1)
                file.flush()
                os.fsync(file.fileno())
    except (Exception, CheckpointException) as error:  # the latter is no Exception
        fault = unsaved(folder, error)
    try:
        processes.agree(fault)
    except ScaleError:
        if processes.first:
            shutil.rmtree(part, ignore_errors=True)
        raise
    if processes.first:
        shutil.rmtree(path, ignore_errors=True)
        os.replace(part, path)
        for old in found(folder)[:-keep]:
            shutil.rmtree(old, ignore_errors=True)
    processes.wait()
    return path


def load(path: Path, state: State, processes: Processes) -> None:
    """Fill the tensors of `state` from a checkpoint, whoever wrote it. ScaleError where it is damaged."""
    fault = ""
    try:
        with quiet():
            dcp.load(state, storage_reader=SafeReader(path), planner=Loading(), no_dist=processes.alone)
    except (Exception, CheckpointException):  # A damaged file fails in as many ways as it has parts.
        fault = str(damaged(path))
    processes.agree(fault)


def names(path: Path) -> dict[str, torch.Size]:
    """The tensors of a checkpoint and their sizes (of a divided one, the whole's)."""
    try:
        index = SafeReader(path).read_metadata()
    except Exception:  # as in `load`
        raise damaged(path) from None
    return {
        name: about.size
        for name, about in index.state_dict_metadata.items()
        if isinstance(about, TensorStorageMetadata)
    }


@contextmanager
def quiet() -> Iterator[None]:
    """Without torch's word that one process saves for itself alone: so it should."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="torch.distributed is disabled")
        yield


def damaged(path: Path) -> ScaleError:
    return ScaleError(f"The checkpoint {path} is damaged: delete it, and training goes on from the one before it.")


def unsaved(folder: Path, error: BaseException) -> str:
    return (
        f"The checkpoint cannot be written to {folder} ({reason(error)}); those before it are kept. Make room there, "
        "then start again with --resume."
    )


def reason(error: BaseException) -> str:
    """What the system said, in a few words, wherever torch has put it."""
    failures = getattr(error, "failures", None)
    if isinstance(failures, dict) and failures:
        first = next(iter(failures.values()))
        return reason(first[0] if isinstance(first, tuple) else first)
    inner = error.__cause__ or error.__context__
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(inner, OSError) and inner.strerror:
        return inner.strerror
    return str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else type(error).__name__
