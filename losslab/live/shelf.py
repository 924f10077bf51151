"""Finding runs by id and reading them once for everybody who watches."""

import io
import itertools
import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from PIL import Image
from torch import nn

from losslab import data, losses, projections
from losslab.head import Head
from losslab.projections.three import ThreePrototypes
from losslab.projections.tour import Tour
from losslab.training import Run, restore

from . import frames, gaps
from .pool import find
from .projector import Map, Maps

COLUMNS = 50  # pictures in a row of the sprite sheet
USUAL = "SphereMap"  # of more than three dimensions, where no projection is asked for
THUMB = 64  # pixels of their longer side, at most: a browser holds the sheet unpacked
BOOKS = 64  # runs kept open
FRAMES = 64 * 2**20  # bytes of frames kept for all of them


class Now(NamedTuple):
    """A run at this moment: state, why, and the snapshots there are."""

    state: str
    reason: str
    snapshots: int
    behind: bool = False  # there are more, which are not placed yet
    problem: str = ""  # why they never will be


class Cache:
    """The frames asked for most lately, up to a number of bytes. Safe in threads."""

    def __init__(self, limit: int) -> None:
        self._limit, self._size = limit, 0
        self._kept: OrderedDict[Hashable, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> bytes | None:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def keep(self, key: Hashable, data: bytes) -> None:
        with self._lock:
            if key not in self._kept:
                self._kept[key] = data
                self._size += len(data)
            while self._size > self._limit:
                self._size -= len(self._kept.popitem(last=False)[1])


class Book:
    """A run as its watchers read it; `look` and `frame` cost next to nothing when there is no news."""

    def __init__(self, path: Path, recording: bool, cache: Cache) -> None:
        self.path, self.recording = path, recording
        self._cache = cache
        self._lock = threading.Lock()
        self._run = Run(path)
        self._stamp: object = None
        self._now = Now("queued", "", 0)
        self._sprites: bytes | None = None
        self._network: tuple[nn.Module, Head, int] | None = None
        self._network_stamp: object = None

    @property
    def dim(self) -> int:
        """Of its embeddings."""
        return self._run.recipe.dim

    def look(self) -> Now:
        """What there is now. The state is read before the snapshots: a run that is "done" has shown all."""
        with self._lock:
            stamp = [self._mark("status.json"), self._mark("snapshots.bin")]
            if stamp != self._stamp:
                state, reason = self._run.status
                self._run.refresh()
                self._now, self._stamp = Now(state, reason, len(self._run)), stamp
            return self._now

    def frame(self, index: int) -> bytes:
        """Frame `index`, which must exist."""
        return self._encoded(frames.encode, index)

    def gaps(self, index: int) -> bytes:
        """The gaps of every class all over the circle or the sphere at snapshot `index`, which must exist."""
        return self._encoded(gaps.encode, index)

    def _encoded(self, encode: Callable[[Run, int], bytes], index: int) -> bytes:
        key = (self, encode, index)
        if (data := self._cache.get(key)) is None:
            with self._lock:  # thirty watchers of a new snapshot: one encodes it
                if (data := self._cache.get(key)) is None:
                    data = encode(self._run, index)
                    self._cache.keep(key, data)
        return data

    def sprites(self) -> bytes:
        """The probe images as one PNG, COLUMNS in a row, in the order of the samples."""
        with self._lock:
            if self._sprites is None:
                self._sprites = sprite_sheet(self._run.probe.images)
            return self._sprites

    def network(self) -> tuple[nn.Module, Head, int]:
        """The newest network and head, and the step they are of. RunError while there are no weights."""
        with self._lock:
            stamp = self._mark("weights.npz")
            if self._network is None or stamp != self._network_stamp:
                self._network, self._network_stamp = restore(self._run, newest=True), stamp
            return self._network

    def facts(self) -> dict:
        """What does not change while the run goes on, as JSON values."""
        with self._lock:
            recipe, probe = self._run.recipe, self._run.probe
            height, width = thumb(probe.images)
            noisy = (probe.truth != probe.labels).any()
            titles = [losses.title(each) for each in (recipe.loss, *(loss for _, loss in recipe.later))]
            loss = ", then ".join(title for title, _ in itertools.groupby(titles))
            written = json.loads((self.path / "recipe.json").read_text(encoding="utf-8"))
            return {
                "title": written.get("title") or f"{loss} in {recipe.dim} dimensions",
                "total_steps": self._run.total_steps,
                "recording": self.recording,
                "dim": recipe.dim,
                "classes": list(probe.names),
                "labels": probe.labels.tolist(),
                "truth": probe.truth.tolist() if noisy else None,
                "split": probe.split.tolist(),
                "loss": loss,
                "digits": probe.images.shape[1:3] == (28, 28)
                and recipe.faces is None
                and "".join(data.catalogue()[recipe.data].names) == "0123456789",
                "sprite": {"columns": COLUMNS, "width": width, "height": height},
            }

    def _mark(self, name: str) -> tuple[int, ...] | None:
        try:
            stat = (self.path / name).stat()
        except FileNotFoundError:
            return None
        return stat.st_ino, stat.st_mtime_ns, stat.st_size


class MappedBook(Book):
    """A run of more than three dimensions as a map shows it: its snapshots are there once they are placed."""

    def __init__(self, path: Path, recording: bool, cache: Cache, placed: Map) -> None:
        super().__init__(path, recording, cache)
        self._map = placed

    def look(self) -> Now:
        now, placed = super().look(), self._map
        placed.ask(now.snapshots)
        count = len(placed.placed)
        behind = count < now.snapshots
        reason = placed.doing if behind else now.reason
        return now._replace(snapshots=count, behind=behind, reason=reason, problem=placed.problem)

    def frame(self, index: int) -> bytes:
        return self._encoded(self._encode, index)

    def _encode(self, run: Run, index: int) -> bytes:
        return frames.encode(run, index, self._map.placed[index])

    def facts(self) -> dict:
        return super().facts() | of_a_map(projections.read(self._map.name), self._run)


class TouredBook(Book):
    """A run of more than three dimensions as it is: the browser projects it, turned by whoever looks."""

    def frame(self, index: int) -> bytes:
        return self._encoded(self._encode, index)

    def _encode(self, run: Run, index: int) -> bytes:
        return frames.encode(run, index, entire=True)

    def facts(self) -> dict:
        return super().facts() | of_a_map(Tour(), self._run)


def of_a_map(projection: projections.Projection, run: Run) -> dict:
    said = {"of": run.recipe.dim, "title": projection.title, "says": projection.says}
    if isinstance(projection, ThreePrototypes):
        said["chosen"] = [row // run.recipe.loss.subcentres for row in projection.chosen]  # classes
    return {"dim": projection.dim, "map": said, "digits": False}  # nor is there a place for one that is drawn by hand


class Shelf:
    """The runs of one or more folders, by id. Safe in threads."""

    def __init__(self, runs: Path, recordings: Path) -> None:
        self._folders = [(Path(runs), False), (Path(recordings), True)]
        self._books: OrderedDict[tuple[str, int, str], Book] = OrderedDict()
        self._cache, self._maps = Cache(FRAMES), Maps()
        self._lock = threading.Lock()

    def book(self, id: str, map: str = "") -> Book | None:
        """The run called `id`, as the projection called `map` shows it. Without one of that name it is as it is, but of
        more than three dimensions a map all the same, for no picture shows those. None when there is no run that can be
        read."""
        for folder, recording in self._folders:
            if path := find(folder, id):
                with suppress(OSError), self._lock:
                    # A recording made anew under the same name is another book.
                    key = (str(path), (path / "recipe.json").stat().st_mtime_ns, map)
                    if key not in self._books:
                        self._books[key] = self._opened(path, recording, map)
                    self._books.move_to_end(key)
                    while len(self._books) > BOOKS:
                        self._books.popitem(last=False)
                    return self._books[key]
        return None

    def _opened(self, path: Path, recording: bool, map: str) -> Book:
        try:
            projection = projections.read(map)
        except ValueError:
            book = Book(path, recording, self._cache)
            if book.dim <= 3:
                return book
            projection, map = projections.read(USUAL), USUAL
        if isinstance(projection, Tour):
            return TouredBook(path, recording, self._cache)
        return MappedBook(path, recording, self._cache, self._maps.get(path, map))


def sprite_sheet(images) -> bytes:
    """u8 [n h w] or [n h w 3] as one PNG with COLUMNS images in a row."""
    n, (height, width) = len(images), thumb(images)
    sheet = Image.new("RGB" if images.ndim == 4 else "L", (COLUMNS * width, -(-n // COLUMNS) * height))
    for i, image in enumerate(images):
        small = Image.fromarray(image).resize((width, height), Image.Resampling.BOX)
        sheet.paste(small, (i % COLUMNS * width, i // COLUMNS * height))
    png = io.BytesIO()
    sheet.save(png, "PNG")
    return png.getvalue()


def thumb(images) -> tuple[int, int]:
    """Height and width of the images [n h w] or [n h w 3] as they are on the sheet."""
    sides = images.shape[1:3]
    return tuple(max(1, round(side * min(1, THUMB / max(sides)))) for side in sides)
