"""Tar shards in the manner of WebDataset, read where they lie.

The members of a sample have one key, their path up to the first dot of the file name: `000017.jpg` and `000017.cls`,
which holds the label, or `000017.json`, an object with a "label" and perhaps the "name" of the identity. Without either
the folder inside the tar is the identity.
"""

import json
import mmap
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from io import BytesIO
from itertools import chain, count, islice
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from losslab.data.base import DataError

from .decode import suffix
from .source import MOST_BYTES, SUFFIXES, FaceSource, Identity, natural, numbered, read_part, reading, writing

BLOCK = 512
LONGEST_NAME = 1024  # bytes
LARGEST_LABEL = 1 << 16  # bytes of a .cls or .json
A_SHARD = 10_000  # images


class Member(NamedTuple):
    """A regular file inside a tar."""

    name: str
    start: int
    size: int


class _Sample(NamedTuple):
    identity: str
    shard: int
    member: Member


class Shards(FaceSource):
    """All .tar files that lie directly in `path`, in natural order, as one source. Nothing is unpacked."""

    kind = "shards"

    def __init__(self, path: Path, name: str = "") -> None:
        self.path, self.name = Path(path), name or Path(path).name
        with reading(self.path):
            found = [file for file in self.path.glob("*.tar") if file.is_file() and not file.is_symlink()]
        self._shards = sorted(found, key=lambda file: (natural(file.name), file.name))
        damaged: list[str] = []
        titles: dict[str, str] = {}
        samples = [
            _Sample(identity, at, member)
            for at, shard in enumerate(self._shards)
            for identity, member in _samples(shard, f"{self.name}/{shard.name}", titles, damaged)
        ]
        if not samples:
            more = f" ({damaged[0].rstrip('.')})" if damaged else ""
            raise DataError(
                f"{self.path} has no tar with images whose identity is told{more}: give each image a .cls or .json "
                "of the same name, or a folder for each identity."
            )
        keys, self.labels = numbered([sample.identity for sample in samples])
        self.names = tuple(titles.get(key, key) for key in keys)
        if len(set(self.names)) < len(keys):
            self.names = keys
        self._shard = np.array([sample.shard for sample in samples])
        self._members = [sample.member for sample in samples]
        self.damaged = tuple(damaged)

    def payload(self, i: int) -> bytes:
        _, start, size = self._members[i]
        return read_part(self._shards[self._shard[i]], start, size, self.where(i))

    def where(self, i: int) -> str:
        return f"{self.name}/{self._shards[self._shard[i]].name}, {self._members[i].name}"

    def files(self) -> Iterator[Path]:
        return iter(self._shards)


def _samples(shard: Path, shown: str, titles: dict[str, str], damaged: list[str]) -> Iterator[tuple[str, Member]]:
    """Every image of a shard with the key of its identity; `titles` learns the names that identities have."""
    images: list[tuple[str, Member]] = []
    told: dict[str, str] = {}
    found = list(members(shard, shown, damaged))
    with reading(shard), open(shard, "rb") as file:
        labels = {member: _label(file, member) for member in found if member.name.lower().endswith((".cls", ".json"))}
    for member in found:
        folder, _, file = member.name.rpartition("/")
        stem, _, ending = file.partition(".")
        key, ending = f"{folder}/{stem}", f".{ending}".lower()
        if not stem:
            continue  # a hidden file
        if ending.endswith(SUFFIXES):
            images.append((key, member))
        elif member in labels:
            label, title = labels[member]
            if label is None:
                damaged.append(f"{shown}, {member.name} holds no label: it is left out.")
                continue
            told[key] = label
            if title:
                titles[label] = title
    for key, member in images:
        identity = told.get(key, key.rpartition("/")[0])
        if identity:
            yield identity, member
        else:
            damaged.append(f"{shown}, {member.name} is of nobody: no .cls, .json or folder tells its identity.")


def _label(file: BinaryIO, member: Member) -> tuple[str | None, str]:
    """The label that a .cls or .json holds, and the name with it; None where it holds none."""
    if member.size > LARGEST_LABEL:
        return None, ""
    file.seek(member.start)
    text = file.read(member.size).decode("utf-8", "replace").strip()
    label, title = text, ""
    if member.name.lower().endswith(".json"):
        said = None
        with suppress(ValueError, RecursionError):
            said = json.loads(text)
        said = said if isinstance(said, dict) else {}
        label, title = said.get("label"), said.get("name")
        if isinstance(label, bool) or not isinstance(label, int | str):
            return None, ""
        with suppress(ValueError):  # a number of thousands of digits
            label = str(label)
    good = isinstance(label, str) and _is_name(label)
    return (label if good else None), (title if isinstance(title, str) and _is_name(title) else "")


def _is_name(text: str) -> bool:
    return 0 < len(text) <= 200 and text.isprintable()


# -- tar -------------------------------------------------------------------------------------------------


def members(path: Path, shown: str, damaged: list[str]) -> Iterator[Member]:
    """The regular files of a tar (POSIX ustar with pax and GNU long names). Links, devices and sparse files are passed
    over; sizes are believed only as far as the file goes; after a damaged header the next whole one is looked for."""
    with reading(path):
        size = path.stat().st_size
        if not size:
            damaged.append(f"{shown} is empty.")
            return
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            yield from _walk(shown, mapped, damaged)


def _walk(shown: str, mapped: mmap.mmap, damaged: list[str]) -> Iterator[Member]:
    at, given = 0, {}  # what a header before a member says of it
    while at + BLOCK <= len(mapped):
        block = mapped[at : at + BLOCK]
        if block == bytes(BLOCK):  # The end, but shards that were put together by `cat` go on after it.
            at += BLOCK
            continue
        if not _is_header(block):
            next_ = _next_header(mapped, at + BLOCK)
            damaged.append(f"{shown} is damaged from byte {at} to byte {next_}: no file of the tar is found there.")
            at, given = next_, {}
            continue
        kind, start = block[156:157], at + BLOCK
        size = _number(block[124:136])
        if kind in (b"0", b"\0", b"7") and "size" in given:
            size = given["size"]
        if not 0 <= size <= len(mapped) - start:
            damaged.append(f"{shown} is cut short: the file of the tar at byte {at} goes on after its end.")
            at, given = start, {}
            continue
        at = start + size + -size % BLOCK
        if kind in (b"x", b"L", b"g", b"K"):
            if kind in (b"x", b"L"):
                given |= _given(kind, mapped[start : start + min(size, LARGEST_LABEL)])
            continue
        if kind in (b"0", b"\0", b"7"):
            name = _name(given.get("name") or _header_name(block))
            if name is None:
                damaged.append(f"{shown}, the file at byte {start - BLOCK} has a name that cannot be: it is left out.")
            elif size <= MOST_BYTES:
                yield Member(name, start, size)
            else:
                damaged.append(f"{shown}, {name} has {size} bytes, more than {MOST_BYTES}: it is left out.")
        given = {}
    if at < len(mapped):
        damaged.append(f"{shown} is cut short: its last {len(mapped) - at} bytes are no block of a tar.")


def _is_header(block: bytes) -> bool:
    return _number(block[148:156]) == sum(block) - sum(block[148:156]) + 8 * ord(" ")


def _next_header(mapped: mmap.mmap, at: int) -> int:
    """Where the next ustar header is, else the end."""
    found = at + 256
    while (found := mapped.find(b"ustar", found + 1)) >= 0:
        start = found - 257
        if start % BLOCK == 0 and start + BLOCK <= len(mapped) and _is_header(mapped[start : start + BLOCK]):
            return start
    return len(mapped)


def _number(field: bytes) -> int:
    """A number of a header, octal or (GNU) binary; -1 where it is none."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    digits = field.split(b"\0")[0].strip(b" ")
    return int(digits, 8) if digits.isdigit() and not set(digits) & set(b"89") else 0 if not digits else -1


def _header_name(block: bytes) -> bytes:
    name, prefix = block[:100].split(b"\0")[0], block[345:500].split(b"\0")[0]
    return prefix + b"/" + name if prefix and block[257:263] == b"ustar\0" else name


def _given(kind: bytes, data: bytes) -> dict:
    """What a GNU long name or a pax header says of the next member: its name and size."""
    if kind == b"L":
        return {"name": data.split(b"\0")[0]}
    given = {}
    while data:
        length = data.split(b" ", 1)[0]
        if not length.isdigit() or len(length) > 6 or not len(length) + 2 <= int(length) <= len(data):
            break
        key, _, value = data[len(length) + 1 : int(length) - 1].partition(b"=")
        data = data[int(length) :]
        if key == b"path":
            given["name"] = value
        elif key == b"size" and value.isdigit() and len(value) < 20:
            given["size"] = int(value)
    return given


def _name(raw: bytes) -> str | None:
    """The path of a member, without "./" before it; None where it cannot be shown. It is never used as a path."""
    if not 0 < len(raw) <= LONGEST_NAME:
        return None
    name = raw.decode("utf-8", "replace").removeprefix("./").lstrip("/")
    return name if name and name.isprintable() else None


# -- writing ---------------------------------------------------------------------------------------------


def write_faces(folder: Path, identities: Iterable[Identity]) -> None:
    """Write shards of 10 000 images: each image with a .json that holds its label and the name of its identity."""
    images = ((label, name, payload) for label, (name, images) in enumerate(identities) for payload in images)
    with writing(folder):
        for shard in count():
            some = list(islice(images, 1))
            if not some:
                return
            with tarfile.open(folder / f"faces-{shard:06d}.tar", "w") as tar:
                for at, (label, name, payload) in enumerate(chain(some, islice(images, A_SHARD - 1))):
                    _add(tar, f"{at:06d}{suffix(payload)}", payload)
                    _add(tar, f"{at:06d}.json", json.dumps({"label": label, "name": name}).encode())


def _add(tar: tarfile.TarFile, name: str, payload: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(payload)
    tar.addfile(member, BytesIO(payload))
