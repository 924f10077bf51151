"""RecordIO, the format of MXNet in which CASIA-WebFace is commonly given away: `train.rec`, `train.idx`, `property`.

A .rec file is a row of records, each in one or more parts (dmlc-core, include/dmlc/recordio.h):

    part    magic 0xced7230a, then a word of 3 bits that say which part it is (0 the whole, 1 first, 2 inner, 3 last)
            and 29 bits of length, the bytes, and zeros up to a multiple of four
    record  the parts, with the magic between them: it is where the magic itself lay at a multiple of four. So a magic
            at a multiple of four always begins a part, and what follows a damaged place can be found again
    image   flag u32, label f32, id u64, id2 u64, then `flag` labels f32 (they replace `label`), then the encoded image

With a header record, numbered 0, whose labels are [first, end], the images have the numbers 1 to first - 1, and those
from first to end - 1 are the identities: no image, but labels [begin, end] of the numbers that their images have. The
.idx lists "number, tab, place in the file" line by line.
"""

import mmap
import os
import struct
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from losslab.data.base import DataError

from .decode import decode
from .source import MOST_BYTES, FaceSource, Identity, reading, writing

MAGIC = struct.pack("<I", 0xCED7230A)
WHOLE, FIRST, INNER, LAST = range(4)
LONGEST = (1 << 29) - 1  # bytes of a part
HEADER = struct.Struct("<IfQQ")
MOST_PARTS = 256  # of a record
SAMPLE = 4096  # records that are compared with an .idx; all, where there are not more


class Entry(NamedTuple):
    """What a record holds."""

    labels: tuple[float, ...]
    id: int
    payload: bytes = b""
    vector: bool = False  # labels written as a vector, even where it is one
    id2: int = 0


def pack(entry: Entry) -> bytes:
    """An entry as the bytes of a record."""
    if entry.vector or len(entry.labels) != 1:
        head = HEADER.pack(len(entry.labels), 0.0, entry.id, entry.id2)
        return head + struct.pack(f"<{len(entry.labels)}f", *entry.labels) + entry.payload
    return HEADER.pack(0, entry.labels[0], entry.id, entry.id2) + entry.payload


def unpack(record: bytes, what: str) -> Entry:
    """The inverse of `pack`. DataError where the record is shorter than its own header says."""
    if len(record) >= HEADER.size:
        flag, label, id, id2 = HEADER.unpack_from(record)
        end = HEADER.size + 4 * flag
        if len(record) >= end:
            labels = struct.unpack_from(f"<{flag}f", record, HEADER.size) if flag else (label,)
            return Entry(labels, id, record[end:], flag > 0, id2)
    raise DataError(f"{what} is shorter than its header says: leave it out.")


# -- records ---------------------------------------------------------------------------------------------


class Records:
    """The records of a .rec file, memory-mapped. It is pickled by its path; messages call it `name`."""

    def __init__(self, path: Path, name: str) -> None:
        self.path, self.name = Path(path), name
        with reading(self.path):
            state = self.path.stat()
        self.size, self._changed = state.st_size, state.st_mtime_ns
        self._mapped: mmap.mmap | None = None

    def __getstate__(self) -> dict:
        return {**self.__dict__, "_mapped": None}

    def map(self) -> mmap.mmap:
        """The file, mapped at the first call. DataError where it is another than it was."""
        mapped = self._mapped
        if mapped is None:
            if not self.size:
                raise DataError(f"{self.name} is empty: copy it again.")
            with reading(self.path), open(self.path, "rb") as file:
                state = os.fstat(file.fileno())
                if (state.st_size, state.st_mtime_ns) == (self.size, self._changed):
                    mapped = self._mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        # Reading what a shorter file no longer has would end the process.
        if mapped is None or mapped.size() < self.size:
            raise DataError(f"{self.name} changed after it was opened: open it again.")
        return mapped

    def close(self) -> None:
        if self._mapped is not None:
            with suppress(BufferError):  # An array still looks at it; the mapping ends with the array.
                self._mapped.close()
            self._mapped = None

    def parts(self, start: int) -> list[tuple[int, int]] | None:
        """Where the bytes of each part of the record at `start` begin and end; None where no whole record is."""
        mapped, found, expected = self.map(), [], (WHOLE, FIRST)
        while 0 <= start <= self.size - 8 and mapped[start : start + 4] == MAGIC:
            word = int.from_bytes(mapped[start + 4 : start + 8], "little")
            which, end = word >> 29, start + 8 + (word & LONGEST)
            if which not in expected or end > self.size or len(found) == MOST_PARTS:
                return None
            found.append((start + 8, end))
            if which in (WHOLE, LAST):
                return found
            start, expected = _padded(end), (INNER, LAST)
        return None

    def end(self, start: int) -> int | None:
        """Where the record at `start` ends, and the next begins."""
        parts = self.parts(start)
        return parts and min(_padded(parts[-1][1]), self.size)

    def read(self, start: int, what: str) -> bytes:
        """The bytes of the record at `start`."""
        parts = self.parts(start)
        if parts is None:
            raise DataError(f"{what} is no whole record: leave it out, or copy {self.name} again.")
        if sum(end - begin for begin, end in parts) > 2 * MOST_BYTES:
            raise DataError(f"{what} is longer than one image may be: leave it out.")
        mapped = self.map()
        return MAGIC.join(mapped[begin:end] for begin, end in parts)

    def scan(self) -> tuple[np.ndarray, list[str]]:
        """Where each whole record begins, int64 [n], and one sentence for each place that is damaged."""
        starts, damaged, at = [], [], 0
        while at < self.size:
            end = self._honest_end(at)
            if end is not None:
                starts.append(at)
                at = end
                continue
            next_ = self._next(at + 4)
            if next_ is None:
                damaged.append(f"{self.name} is cut short: its last {self.size - at} bytes are no whole record.")
                break
            damaged.append(f"{self.name} is damaged from byte {at} to byte {next_}: nothing there is a record.")
            at = next_
        return np.array(starts, np.int64), damaged

    def _next(self, at: int) -> int | None:
        """The first whole record at `at` or after it."""
        mapped = self.map()
        while (at := mapped.find(MAGIC, at)) >= 0:
            if at % 4 == 0 and self._honest_end(at) is not None:
                return at
            at += 1
        return None

    def _honest_end(self, start: int) -> int | None:
        """`end(start)`, but None where another part begins inside: then a length is a lie, and that part is not
        to be lost."""
        for begin, end in self.parts(start) or ():
            while 0 <= (begin := self.map().find(MAGIC, begin, _padded(end))):
                if begin % 4 == 0:
                    return None
                begin += 1
        return self.end(start)

    def words(self, starts: np.ndarray, count: int) -> np.ndarray:
        """The first `count` words of the records at `starts`, uint32 [n count]; zeros after the end of the file."""
        words = np.frombuffer(self.map(), "<u4", count=self.size // 4)
        places = starts[:, None] // 4 + np.arange(count)
        return np.where(places < len(words), words[np.minimum(places, len(words) - 1)], 0).astype(np.uint32)


def _padded(size: int) -> int:
    return size + -size % 4


def read_index(path: Path, records: Records) -> dict[int, int] | None:
    """Number -> place from an .idx file; None where it is none, or does not belong to `records`."""
    with reading(path):
        if path.stat().st_size > 64 * (records.size // 8 + 1):
            return None  # longer than any index of so few bytes
        words = path.read_bytes().split()
    try:
        numbers = [int(word) for word in words]
    except ValueError:
        return None
    if len(numbers) % 2 or not all(0 <= number < 1 << 62 for number in numbers):
        return None
    index = dict(zip(numbers[::2], numbers[1::2], strict=True))
    starts = np.array(sorted(index.values()), np.int64)
    if not len(starts) or len(index) < len(numbers) // 2 or starts[0] != 0 or (starts % 4).any():
        return None
    if (np.diff(starts) == 0).any():
        return None
    ends = np.append(starts[1:], records.size)
    some = np.unique(np.linspace(0, len(starts) - 1, SAMPLE).astype(int))
    fits = all(records.end(start) == end for start, end in zip(starts[some].tolist(), ends[some].tolist(), strict=True))
    return index if fits else None


# -- faces -----------------------------------------------------------------------------------------------


@dataclass
class _Found:
    """Images in a .rec: the number and place of each record, and what identity it says it is."""

    numbers: np.ndarray
    starts: np.ndarray
    said: np.ndarray  # float32 [n]


class RecordIO(FaceSource):
    """`train.rec` with the `train.idx` beside it, or without: then, or where the two do not belong together, the
    records are found by reading through the file. What is damaged is left out."""

    kind = "RecordIO"

    def __init__(self, path: Path, name: str = "") -> None:
        path = Path(path)
        file = path if path.suffix == ".rec" else path / "train.rec"
        self.path, self.name = file.parent, name or file.parent.name
        self._records, self._index = Records(file, f"{self.name}/{file.name}"), file.with_suffix(".idx")
        damaged: list[str] = []
        numbers, starts = self._numbered(damaged)
        found = (None if damaged else self._by_identity(numbers, starts)) or self._by_record(numbers, starts, damaged)
        if not len(found.starts):
            more = f" ({damaged[0].rstrip('.')})" if damaged else ""
            raise DataError(f"{self._records.name} holds no image of a face{more}: copy it again.")
        said, self.labels = np.unique(found.said, return_inverse=True)
        self.labels = self.labels.astype(np.int64)
        self.names = tuple(_name(label) for label in said.tolist())
        self._numbers, self._starts = found.numbers, found.starts
        self.damaged = tuple(damaged)

    def payload(self, i: int) -> bytes:
        what = self.where(i)
        payload = unpack(self._records.read(int(self._starts[i]), what), what).payload
        if len(payload) > MOST_BYTES:
            raise DataError(f"{what} has {len(payload)} bytes, more than the {MOST_BYTES} that one image may have.")
        return payload

    def where(self, i: int) -> str:
        return f"{self._records.name}, record {self._numbers[i]} at byte {self._starts[i]}"

    def files(self) -> Iterator[Path]:
        yield self._records.path
        if self._index.is_file():
            yield self._index

    def close(self) -> None:
        self._records.close()

    def _numbered(self, damaged: list[str]) -> tuple[np.ndarray, np.ndarray]:
        """The number of each record, and where it begins."""
        index = read_index(self._index, self._records) if self._index.is_file() else None
        if index is not None:
            return np.array(list(index), np.int64), np.array(list(index.values()), np.int64)
        starts, places = self._records.scan()
        why = "does not belong to" if self._index.is_file() else "is missing beside"
        self.notes = (f"{self._index.name} {why} {self._records.name}: its {len(starts)} records were found without.",)
        damaged += places
        return np.arange(len(starts)), starts

    def _by_identity(self, numbers: np.ndarray, starts: np.ndarray) -> _Found | None:
        """The images as the header record and those of the identities tell, so that of millions of records only those
        of the identities are read. None where they are not there or do not agree."""
        place = np.full(min(len(numbers), int(numbers.max(initial=-1)) + 1), -1)
        if not len(place) or len(place) <= numbers.max():
            return None  # numbers with holes
        place[numbers] = starts
        header = self._ranges(place[:1])
        if header is None or not 1 < header[0, 0] < header[0, 1] == len(place):
            return None
        first = int(header[0, 0])
        ranges = self._ranges(place[first:])
        if ranges is None or ranges[0, 0] != 1 or ranges[-1, 1] != first or (ranges[1:, 0] != ranges[:-1, 1]).any():
            return None
        length = ranges[:, 1] - ranges[:, 0]
        if (length < 1).any():
            return None
        flag, label = self._records.words(place[ranges[:, 0]], 4)[:, 2:].T
        said = np.ascontiguousarray(label).view(np.float32)
        if flag.any() or not np.isfinite(said).all() or len(np.unique(said)) < len(said):
            return None
        return _Found(np.arange(1, first), place[1:first], np.repeat(said, length))

    def _ranges(self, starts: np.ndarray) -> np.ndarray | None:
        """The two labels of each of these records, int64 [n 2]; None unless that is all that they hold."""
        words = self._records.words(starts, 10)
        size = HEADER.size + 8
        if (words[:, 0] != int.from_bytes(MAGIC, "little")).any() or (words[:, 1:3] != (size, 2)).any():
            return None
        labels = np.ascontiguousarray(words[:, 8:10]).view(np.float32)
        # Beyond 2^24 a float no longer tells every number from the next.
        return labels.astype(np.int64) if ((labels >= 1) & (labels <= 1 << 24)).all() else None

    def _by_record(self, numbers: np.ndarray, starts: np.ndarray, damaged: list[str]) -> _Found:
        """The images as each record tells of itself: its label, or the first of them."""
        order = starts.argsort()
        numbers, starts = numbers[order], starts[order]
        if not len(starts):
            return _Found(numbers, starts, np.zeros(0, np.float32))
        words = self._records.words(starts, 9)
        flag, size = words[:, 2].astype(np.int64), (words[:, 1] & LONGEST).astype(np.int64)
        said = np.where(flag > 0, words[:, 8], words[:, 3]).astype(np.uint32).view(np.float32)
        body = size - HEADER.size - 4 * flag
        for at in np.flatnonzero(words[:, 1] >> 29 != WHOLE):
            flag[at], body[at], said[at] = self._in_parts(int(numbers[at]), int(starts[at]))
        keep = (body > 0) & np.isfinite(said)
        for at in np.flatnonzero(~keep & ~((body == 0) & (flag > 1))):  # a header holds several labels and no image
            why = "holds no image" if body[at] == 0 else "has no label" if body[at] > 0 else "is cut short"
            damaged.append(f"{self._records.name}, record {numbers[at]} at byte {starts[at]} {why}: it is left out.")
        return _Found(numbers[keep], starts[keep], said[keep])

    def _in_parts(self, number: int, start: int) -> tuple[int, int, float]:
        """Of a record in parts: its flag, the bytes of its image (negative for none), its label."""
        with suppress(DataError):
            entry = unpack(self._records.read(start, f"record {number}"), "")
            return len(entry.labels) if entry.vector else 0, len(entry.payload), entry.labels[0]
        return 0, -1, np.nan


def _name(label: float) -> str:
    return str(int(label)) if label == int(label) else str(label)


# -- writing ---------------------------------------------------------------------------------------------


class RecordWriter:
    """Writes a .rec and the .idx beside it. Both appear when all is written, or not at all."""

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self._files: list[BinaryIO] = []

    def __enter__(self) -> "RecordWriter":
        with writing(self.path):
            for suffix in (".rec", ".idx"):
                self._files.append(open(self._part(suffix), "wb"))
        self._at = 0
        return self

    def write(self, number: int, record: bytes) -> None:
        """Append a record; DataError for one of 2^29 bytes or more."""
        if len(record) > LONGEST:
            raise DataError(
                f"Record {number} has {len(record)} bytes, but RecordIO has room for {LONGEST}: leave it out."
            )
        written = framed(record)
        self._files[0].write(written)
        self._files[1].write(b"%d\t%d\n" % (number, self._at))
        self._at += len(written)

    def write_again_first(self, record: bytes) -> None:
        """Replace the first record by another of the same length."""
        self._files[0].seek(0)
        self._files[0].write(framed(record))

    def __exit__(self, kind: type | None, *error: object) -> None:
        for file, suffix in zip(self._files, (".rec", ".idx"), strict=True):
            file.close()
            if kind is None:
                os.replace(self._part(suffix), self.path.with_suffix(suffix))
            else:
                self._part(suffix).unlink()

    def _part(self, suffix: str) -> Path:
        return self.path.with_suffix(f"{suffix}.part")


def framed(record: bytes) -> bytes:
    """A record as it lies in the file: split wherever the magic lies at a multiple of four."""
    cuts, at = [], record.find(MAGIC)
    while at >= 0:
        if at % 4 == 0:
            cuts.append(at)
        at = record.find(MAGIC, at + 4 if at % 4 == 0 else at + 1)
    begins, ends = [0, *(cut + 4 for cut in cuts)], [*cuts, len(record)]
    made = bytearray()
    for begin, end in zip(begins, ends, strict=True):
        which = WHOLE if not cuts else FIRST if begin == 0 else LAST if end == len(record) else INNER
        made += MAGIC + struct.pack("<I", which << 29 | end - begin) + record[begin:end] + bytes(-(end - begin) % 4)
    return bytes(made)


def write_faces(folder: Path, identities: Iterable[Identity]) -> None:
    """Write `train.rec`, `train.idx` and `property` in the layout of CASIA-WebFace: the first identity gets label 0.
    Names are lost; `property` tells the number of identities, and height and width of the first image."""
    ranges, number, size = [], 1, (0, 0)
    with writing(folder):
        with RecordWriter(folder / "train.rec") as file:
            file.write(0, pack(Entry((0.0, 0.0), 0)))  # the header: what it says is known at the end
            for label, (_, images) in enumerate(identities):
                if not label:
                    size = decode(images[0], "the first image").shape[:2]
                for at, payload in enumerate(images, number):
                    file.write(at, pack(Entry((float(label),), at, payload)))
                ranges.append((float(number), float(number + len(images))))
                number += len(images)
            for at, each in enumerate(ranges, number):
                file.write(at, pack(Entry(each, at)))
            file.write_again_first(pack(Entry((float(number), float(number + len(ranges))), 0)))
        (folder / "property").write_text(f"{len(ranges)},{size[0]},{size[1]}")
