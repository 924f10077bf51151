"""A run on disk: what was asked for and what happened, one directory that is the only truth.

    recipe.json     the recipe, the version of losslab, the code of its losses, how many steps it takes, who owns it
    probe.npz       the images that every snapshot shows, their labels as told and true
    snapshots.bin   one record a snapshot, only ever appended
    status.json     queued, running, paused, done, stopped, failed or interrupted, and why
    weights.npz     the network and its prototypes as of a recent snapshot, of the last one once training is over

It can be followed while it is written, read after a kill at any byte and copied to another machine. A record is

    "LLS1" | u32 length | u32 crc32 of the payload | payload: u32 header length | header (JSON) | arrays

in little endian. A record that is cut off or damaged ends the file for its readers: it is no error, it is not there.
"""

import dataclasses
import errno
import json
import os
import shutil
import struct
import time
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

import losslab
from losslab import losses

from .recipe import Recipe

STATES = ("queued", "running", "paused", "done", "stopped", "failed", "interrupted")
MAGIC = b"LLS1"
FRAME = struct.Struct("<4sII")  # magic, length and checksum of the payload
LENGTH = struct.Struct("<I")
ARRAYS = ("embedding", "prototypes", "loss", "gap", "correct")
MEMORY = "memory."  # before the names of the arrays that a loss remembers
PACE = 0.3  # seconds from one writing of the weights to the next: enough to embed a digit drawn by hand, and cheap


class RunError(OSError):
    """A run that cannot be read or written; one sentence that says what to do."""


class Status(NamedTuple):
    state: str
    reason: str = ""


@dataclass(frozen=True, eq=False)
class Snapshot:
    """One moment of training, NumPy only: n probe samples, C classes, d dimensions. `loss`, `gap` and `correct` go by
    the labels that training was told, the wrong ones among them."""

    step: int
    embedding: np.ndarray  # float32 [n d], before normalising
    prototypes: np.ndarray  # float32 [C d]
    loss: np.ndarray  # float32 [n]
    gap: np.ndarray  # float32 [n], above zero the sample clears the margin
    correct: np.ndarray  # bool [n], the largest plain logit is the own class
    scalars: dict[str, float]
    knobs: dict[str, float | str | bool]  # of the loss, as they were in force (`losses.settings`)
    memory: dict[str, np.ndarray] = field(default_factory=dict)  # what the loss keeps, by name
    planned: dict[str, str] | None = None  # the schedules among the knobs, as text; None in records of before
    weights: dict[str, np.ndarray] | None = None  # of network and head, and their "step"; a run keeps the newest


@dataclass(frozen=True, eq=False)
class Probe:
    """The samples that every snapshot shows: the same images each time, so that points move and do not flicker."""

    images: np.ndarray  # uint8 [n height width], of colour [n height width 3]
    labels: np.ndarray  # int64 [n], as training was told: with label noise, not all of those trained on are true
    split: np.ndarray  # uint8 [n], 0 trained on, 1 held out
    names: tuple[str, ...]  # the name of each class
    total_steps: int = 0  # how long the run is that shows them
    truth: np.ndarray | None = None  # int64 [n], the true labels; `labels` where nothing else is said

    def __post_init__(self) -> None:
        if self.truth is None:
            object.__setattr__(self, "truth", self.labels)

    @property
    def pixels(self) -> np.ndarray:
        """The images as a network takes them: uint8 [n channels height width]."""
        return self.images[:, None] if self.images.ndim == 3 else self.images.transpose(0, 3, 1, 2)


class RunWriter:
    """Writes one run. `RunWriter(path, recipe, probe)` begins it, "queued"; `RunWriter.resume(path)` goes on with one.

    Every method raises RunError when the disk does not take it; what was written before stays readable.
    """

    def __init__(
        self, path: str | Path, recipe: Recipe, probe: Probe, *, owner: str = "", dtype: str = "float32"
    ) -> None:
        """
        Args:
            path: the run's directory, created with its parents; it must not hold a run yet.
            recipe, probe: what `training.probe(recipe)` was made of, and what it gave.
            owner: whoever looks after the run while it is not over.
            dtype: how floating-point arrays are stored, "float32" or "float16".
        """
        self._open(path, dtype, probe.total_steps)
        about = {
            "recipe": recipe.to_dict(), "version": losslab.__version__, "code": code_of(recipe),
            "total_steps": probe.total_steps, "owner": owner,
        }  # fmt: skip
        arrays = {
            "images": probe.images, "labels": probe.labels, "truth": probe.truth, "split": probe.split,
            "names": np.array(probe.names),
        }  # fmt: skip
        with Sentence(self.path, begun=False):
            if (self.path / "recipe.json").exists():
                raise RunError(f"There already is a run in {self.path}; choose another folder.")
            new = not self.path.exists()
            try:
                self.path.mkdir(parents=True, exist_ok=True)
                replace(self.path / "probe.npz", lambda file: np.savez_compressed(file, **arrays))
                replace_text(self.path / "status.json", json.dumps({"state": "queued", "reason": ""}))
                # Last: a directory with a recipe is a whole run.
                replace_text(self.path / "recipe.json", json.dumps(about, indent=1))
            except OSError:
                if new:  # Half a run would be in the way of everything that looks for whole ones.
                    shutil.rmtree(self.path, ignore_errors=True)
                raise

    @classmethod
    def resume(cls, path: str | Path, dtype: str = "float32") -> "RunWriter":
        """Go on with the run in `path`, after its last whole record."""
        writer = cls.__new__(cls)
        writer._open(path, dtype, Run(path).total_steps)
        return writer

    def _open(self, path: str | Path, dtype: str, total_steps: int) -> None:
        self.path, self.dtype = Path(path), np.dtype(dtype).newbyteorder("<")
        self._total = total_steps
        self._file: BinaryIO | None = None
        self._end = 0
        self._weights: dict[str, np.ndarray] | None = None  # that wait to be written
        self._paced = 0.0  # when weights may be written again

    def append(self, snapshot: Snapshot) -> None:
        """Write a snapshot, and the weights that it carries if none were written just before: the last snapshot's
        are at once, others when the run rests."""
        record = encode(snapshot, self.dtype)
        with self._writing():
            if self._file is None:
                self._file = (self.path / "snapshots.bin").open("ab", buffering=0)
                self._end = Run(self.path).end
                self._file.truncate(self._end)  # What a killed writer left half done.
            if os.fstat(self._file.fileno()).st_nlink == 0:  # An open file outlives its name: nobody would read on.
                raise RunError(f"{self.path} was deleted while it was being trained; train again.")
            try:
                rest = memoryview(record)
                while rest:
                    rest = rest[self._file.write(rest) :]
            except OSError:
                self._file.truncate(self._end)
                raise
            self._end += len(record)
            self._weights = snapshot.weights or self._weights
            if snapshot.step >= self._total or time.monotonic() >= self._paced:
                self._keep_weights()

    def state(self, state: str, reason: str = "") -> None:
        """Say how the run stands, with one sentence where there is more to say."""
        if state not in STATES:
            raise ValueError(f"A run cannot be {state!r}; it is {', '.join(STATES[:-1])} or {STATES[-1]}.")
        with suppress(OSError):  # What counts is that the state is known.
            self._keep_weights()
        with self._writing():
            replace_text(self.path / "status.json", json.dumps({"state": state, "reason": reason}))

    def close(self) -> None:
        with suppress(OSError):
            self._keep_weights()
        if self._file is not None:
            self._file.close()
            self._file = None

    def _keep_weights(self) -> None:
        if (weights := self._weights) is not None:
            self._weights, self._paced = None, time.monotonic() + PACE
            replace(self.path / "weights.npz", lambda file: np.savez(file, **weights))

    def __enter__(self) -> "RunWriter":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _writing(self) -> "Sentence":
        return Sentence(self.path)


class Sentence:
    """Turns what the system says about a failed write into a sentence for whoever started the run."""

    def __init__(self, path: Path, begun: bool = True) -> None:
        self.path = path
        self.kept = " the run so far is kept." if begun else " the run could not begin."

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if not isinstance(error, OSError) or isinstance(error, RunError):
            return
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise RunError(f"The disk that holds {self.path} is full;{self.kept} Make room and train again.") from error
        raise RunError(
            f"{self.path} cannot be written ({error.strerror or error});{self.kept} "
            "Choose a folder that you may write to.",
        ) from error


class Run:
    """Reads a run, also while it is written. `len(run)` counts the whole records found so far; `refresh()` looks
    for more; `run[i]` and iteration give snapshots.

    Raises RunError where `path` holds no run; never because of how far its writer came.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        try:
            about = json.loads((self.path / "recipe.json").read_text(encoding="utf-8"))
            if not isinstance(about, dict):
                raise ValueError("it is not a set of names and values.")
            self.recipe = Recipe.from_dict(about["recipe"])
            self.version, self.owner = str(about["version"]), str(about["owner"])
            self.code = str(about.get("code", ""))  # of its losses; runs of before say nothing of it
            self.total_steps = int(about["total_steps"])
        except FileNotFoundError:
            raise RunError(f"There is no run in {self.path}.") from None
        except OSError as error:
            raise RunError(f"The run in {self.path} cannot be opened ({error.strerror}).") from error
        except (ValueError, KeyError, TypeError) as error:
            what = f"it says nothing of its {error}." if isinstance(error, KeyError) else error
            raise RunError(
                f"The run in {self.path} has a recipe that cannot be read: {what} Train it again with this losslab."
            ) from error
        self.end = 0  # byte after the last whole record
        self._records: list[tuple[int, int, dict[str, Any]]] = []  # where the arrays begin, record's end, header
        self.refresh()

    @property
    def status(self) -> Status:
        """How the run stands at this moment, and why."""
        try:
            said = json.loads((self.path / "status.json").read_text(encoding="utf-8"))
            return Status(str(said["state"]), str(said["reason"]))
        except (OSError, ValueError, KeyError, TypeError):
            return Status("interrupted", "Its status cannot be read; the snapshots so far are kept.")

    @cached_property
    def probe(self) -> Probe:
        """The samples that its snapshots show."""
        stored = self._arrays("probe.npz")
        return Probe(
            images=stored["images"],
            labels=stored["labels"],
            split=stored["split"],
            names=tuple(stored["names"].tolist()),
            total_steps=self.total_steps,
            truth=stored.get("truth"),
        )

    @property
    def weights(self) -> dict[str, np.ndarray] | None:
        """The newest network and prototypes by name, with the "step" they are of (runs of before have none: of the
        last); None where there are none."""
        return self._arrays("weights.npz") if (self.path / "weights.npz").exists() else None

    def refresh(self) -> int:
        """Read on from the last whole record; how many there are now."""
        try:
            with (self.path / "snapshots.bin").open("rb") as file:
                file.seek(self.end)
                while record := next_record(file):
                    header, size = record
                    end = file.tell()
                    self._records.append((end - size, end, header))
                    self.end = end
        except OSError:
            pass  # Not there yet, or gone: what was read before is still what is known.
        return len(self)

    def metrics(self) -> dict[str, np.ndarray]:
        """Every scalar over the snapshots so far (NaN where one was not measured), and "step": float64 [len(run)]."""
        rows = [{"step": header["step"], **header["scalars"]} for _, _, header in self._records]
        names = dict.fromkeys(name for row in rows for name in row)
        return {name: np.array([row.get(name, np.nan) for row in rows], dtype=float) for name in names}

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, index: int) -> Snapshot:
        start, end, header = self._records[index]
        with (self.path / "snapshots.bin").open("rb") as file:
            file.seek(start)
            return decode(header, file.read(end - start))

    def __iter__(self) -> Iterator[Snapshot]:
        return (self[index] for index in range(len(self)))

    def _arrays(self, name: str) -> dict[str, np.ndarray]:
        try:
            with np.load(self.path / name, allow_pickle=False) as stored:
                return dict(stored)
        except Exception as error:  # A damaged archive fails in as many ways as it has parts.
            raise RunError(f"{self.path / name} is missing or damaged: train this recipe again.") from error


def code_of(recipe: Recipe) -> str:
    """Which code the losses of a recipe are made of."""
    return losses.code(recipe.loss, *(loss for _, loss in recipe.later))


def encode(snapshot: Snapshot, dtype: np.dtype) -> bytes:
    """A snapshot as a record, floating-point arrays stored as `dtype`."""
    named = {name: getattr(snapshot, name) for name in ARRAYS}
    named |= {MEMORY + name: array for name, array in snapshot.memory.items()}
    arrays = {
        name: np.asarray(array, dtype=bool if array.dtype == bool else dtype, order="C")
        for name, array in named.items()
    }
    header = {
        "step": int(snapshot.step),
        "scalars": {name: float(value) for name, value in snapshot.scalars.items()},
        "knobs": snapshot.knobs,
        "planned": snapshot.planned,
        "arrays": [[name, array.dtype.str, array.shape] for name, array in arrays.items()],
    }
    text = json.dumps(header).encode()
    payload = b"".join([LENGTH.pack(len(text)), text, *(array.tobytes() for array in arrays.values())])
    return FRAME.pack(MAGIC, len(payload), zlib.crc32(payload)) + payload


def next_record(file: BinaryIO) -> tuple[dict[str, Any], int] | None:
    """The header of the record that begins here and the size of its arrays, the file at the record's end; None
    where no whole record begins."""
    frame = file.read(FRAME.size)
    if len(frame) < FRAME.size:
        return None
    magic, length, checksum = FRAME.unpack(frame)
    if magic != MAGIC or length > os.fstat(file.fileno()).st_size:
        return None  # A damaged length must not make us ask for gigabytes.
    payload = file.read(length)
    if len(payload) < length or zlib.crc32(payload) != checksum:
        return None
    (size,) = LENGTH.unpack_from(payload)
    return json.loads(payload[LENGTH.size : LENGTH.size + size]), length - LENGTH.size - size


def decode(header: dict[str, Any], data: bytes) -> Snapshot:
    """The snapshot of a record's header and array bytes; floating-point arrays become float32."""
    arrays, start = {}, 0
    for name, code, shape in header["arrays"]:
        dtype, count = np.dtype(code), int(np.prod(shape))
        array = np.frombuffer(data, dtype, count, start).reshape(shape)
        arrays[name] = array.astype(bool if dtype.kind == "b" else np.float32)
        start += count * dtype.itemsize
    memory = {name.removeprefix(MEMORY): arrays.pop(name) for name in list(arrays) if name.startswith(MEMORY)}
    return Snapshot(
        step=header["step"],
        scalars=header["scalars"],
        knobs=header["knobs"],
        planned=header.get("planned"),
        memory=memory,
        **arrays,
    )


def replace(path: Path, write: Any) -> None:
    """Write a file whole or not at all: `write(file)` fills a neighbour that then takes its place."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with part.open("wb") as file:
            write(file)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def replace_text(path: Path, text: str) -> None:
    replace(path, lambda file: file.write(text.encode()))


def thin(run: Run, path: str | Path, samples: int = 600, every: int = 1) -> None:
    """Write a smaller copy of a run to `path`: at most `samples` of its probe, evenly over classes and splits, every
    `every`-th snapshot and the last one, floating-point arrays as float16, no weights."""
    keep = spread(run.probe, samples)
    probe = Probe(
        images=run.probe.images[keep],
        labels=run.probe.labels[keep],
        split=run.probe.split[keep],
        names=run.probe.names,
        total_steps=run.total_steps,
        truth=run.probe.truth[keep],
    )
    last = len(run) - 1
    with RunWriter(path, run.recipe, probe, owner=run.owner, dtype="float16") as writer:
        for index in range(len(run)):
            if index % every == 0 or index == last:
                writer.append(chosen(run[index], keep))
        writer.state(*run.status)


def spread(probe: Probe, samples: int) -> np.ndarray:
    """Positions of at most `samples` of the probe, as even over (split, class) as it can be, in the probe's order."""
    kind = probe.split.astype(np.int64) * len(probe.names) + probe.labels
    rank = np.zeros(len(kind), dtype=np.int64)  # how many of its own kind come before it
    for each in np.unique(kind):
        mine = kind == each
        rank[mine] = np.arange(mine.sum())
    return np.sort(np.argsort(rank, kind="stable")[:samples])


def chosen(snapshot: Snapshot, keep: np.ndarray) -> Snapshot:
    """The snapshot of some of its samples."""
    arrays = {name: getattr(snapshot, name)[keep] for name in ("embedding", "loss", "gap", "correct")}
    return dataclasses.replace(snapshot, **arrays)
