"""Verification sets (`lfw.bin`, `cfp_fp.bin`, ...): pairs of face images, and of each pair whether it shows one person.

Such a file is a pickle of two lists: 2 n encoded images, of which 2 i and 2 i + 1 are a pair, and n truths. A pickle is
a program for a small stack machine whose instructions can import and call anything. So nothing is unpickled here:
`Machine` carries out the few instructions that such lists are made of, on values of its own. What a file names is
looked up in `KNOWN` and never imported, and a length that a file claims is compared with what is there before anything
is made of it. The machine of Python itself would first reserve the memory.
"""

import os
import pickle
import pickletools
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import Any

import numpy as np

from losslab.data.base import DataError

from .decode import decode

MOST_PAIRS = 100_000  # LFW has 6 000, the largest that are shared this way some ten times as many
MOST_BYTES = 2 << 30
MOST_STEPS = 50 * MOST_PAIRS  # instructions: an image as NumPy's array takes about twenty


@dataclass(frozen=True, eq=False)
class Pairs:
    """`same[i]` says whether the images 2 i and 2 i + 1 show one person."""

    name: str  # of the file
    payloads: tuple[bytes, ...]  # [2 n], each an encoded image
    same: np.ndarray  # bool [n]

    def __len__(self) -> int:
        return len(self.same)

    def image(self, i: int) -> np.ndarray:
        """One of the 2 n images, uint8 [height width 3]. DataError where it cannot be decoded."""
        return decode(self.payloads[i], f"{self.name}, image {i % 2 + 1} of pair {i // 2}")


def read_pairs(path: str | Path) -> Pairs:
    """The pairs in a file. DataError where it is missing, damaged, too large, or anything else than two such lists."""
    path = Path(path)
    try:
        if path.stat().st_size > MOST_BYTES:
            raise DataError(
                f"{path.name} is larger than {MOST_BYTES >> 30} GiB, and a verification set is not: split it."
            )
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path.name} cannot be read ({error.strerror}): look whether it is there.") from None
    machine = Machine()
    try:
        return checked(path.name, machine.run(data))
    except Refused as refused:
        raise DataError(
            f"{path.name} is not a verification set, which is two lists of encoded images and truths: {refused}; "
            "get it again from a source that you trust."
        ) from None


def write_pairs(path: str | Path, payloads: Sequence[bytes], same: Sequence[bool]) -> None:
    """Write 2 n encoded images and n truths as other programs read them: all of the file or nothing. DataError where
    the numbers do not go together or the file cannot be written."""
    path = Path(path)
    try:
        pairs = checked(path.name, ([bytes(each) for each in payloads], [bool(each) for each in same]))
    except Refused as refused:
        raise DataError(f"These images are not a verification set: {refused}.") from None
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            pickle.dump((list(pairs.payloads), pairs.same.tolist()), file, protocol=4)
        os.chmod(file.name, 0o644)
        os.replace(file.name, path)
    except OSError as error:
        raise DataError(f"{path.name} cannot be written ({error.strerror}): choose another folder.") from None


def checked(name: str, found: Any) -> Pairs:
    """The pairs in what a file holds."""
    if not (isinstance(found, tuple | list) and len(found) == 2):
        raise Refused("it holds something else")
    images, truths = (listed(part) for part in found)
    payloads = tuple(payload(each, i) for i, each in enumerate(images))
    if any(type(truth) is not bool for truth in truths):
        raise Refused("its second list holds something else than true and false")
    if not truths or len(payloads) != 2 * len(truths):
        raise Refused(f"it has {len(payloads)} images and {len(truths)} truths, and a pair takes two images and one")
    if len(truths) > MOST_PAIRS:
        raise Refused(f"it has {len(truths)} pairs, and more than {MOST_PAIRS} are not read")
    return Pairs(name, payloads, np.array(truths, dtype=bool))


def listed(part: Any) -> Sequence[Any]:
    if isinstance(part, Array) and part.kind == TRUTH:
        return [byte != 0 for byte in part.raw or b""]
    if not isinstance(part, list | tuple):
        raise Refused("one of its two parts is not a list")
    return part


def payload(image: Any, i: int) -> bytes:
    if isinstance(image, Array) and image.kind == BYTE:
        image = image.raw
    if type(image) is not bytes or not image:
        raise Refused(f"image {i} of its first list is not the bytes of an encoded image")
    return image


# -- a stack machine that can make lists and bytes, and nothing else -------------------------------------


class Refused(ValueError):
    """What is wrong with a file, as the second half of a sentence."""


class Known(Enum):
    """What a file may name. None of it is imported: these are only words."""

    BYTES_OF_TEXT = auto()
    DTYPE = auto()
    NDARRAY = auto()
    EMPTY_ARRAY = auto()
    ARRAY = auto()
    SCALAR = auto()


KNOWN = {
    "_codecs encode": Known.BYTES_OF_TEXT,  # how Python 3 writes bytes that Python 2 can read
    "numpy dtype": Known.DTYPE,
    "numpy ndarray": Known.NDARRAY,
} | {
    f"{module}.{name}": known
    for module in ("numpy.core", "numpy._core")  # before NumPy 2 and since
    for name, known in (
        ("multiarray _reconstruct", Known.EMPTY_ARRAY),
        ("multiarray scalar", Known.SCALAR),
        ("numeric _frombuffer", Known.ARRAY),
    )
}
BYTE, TRUTH = "u1", "b1"  # the types of array that there can be
MARK = object()


@dataclass(frozen=True)
class Dtype:
    kind: str


@dataclass(eq=False)
class Array:
    """One row of bytes or truths."""

    kind: str = ""
    raw: bytes | None = None  # None until its contents have come


class Machine:
    """Carries out a pickle of protocol 2 to 5, or one that Python 2 wrote: its texts, read as bytes."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def run(self, data: bytes) -> Any:
        """What the pickle holds. Refused for all that does not belong into lists of images and truths."""
        at = 0
        try:
            for count, (code, value, place) in enumerate(pickletools.genops(data)):
                at = place
                if count > MOST_STEPS:
                    raise Refused(f"it is made of more than {MOST_STEPS} parts")
                self.step(code.name, value)
        except Refused as refused:
            raise Refused(f"at byte {at}, {refused}") from None
        except (ValueError, OverflowError):  # of pickletools: unknown instructions, and values that are cut short
            raise Refused(f"it is cut short or damaged after byte {at}") from None
        if len(self.stack) != 1:
            raise Refused("it leaves parts over")
        return self.stack[0]

    def step(self, code: str, value: Any) -> None:
        """One instruction with the value that follows it in the file."""
        match code:
            case "PROTO" | "FRAME":
                pass
            case "STOP":
                if not self.stack or self.stack[-1] is MARK:
                    raise Refused("it ends before there is anything")
            case "BINBYTES" | "SHORT_BINBYTES" | "BINBYTES8" | "BYTEARRAY8":
                self.stack.append(bytes(value))
            case "BINSTRING" | "SHORT_BINSTRING":
                self.stack.append(value.encode("latin-1"))  # pickletools shows the bytes of Python 2 as text
            case "BINUNICODE" | "SHORT_BINUNICODE" | "BINUNICODE8" | "BININT" | "BININT1" | "BININT2" | "LONG1":
                self.stack.append(value)
            case "NONE" | "NEWTRUE" | "NEWFALSE":
                self.stack.append({"NONE": None, "NEWTRUE": True, "NEWFALSE": False}[code])
            case "EMPTY_LIST":
                self.stack.append([])
            case "APPEND":
                self.extend([self.pop()])
            case "APPENDS":
                self.extend(self.since_mark())
            case "EMPTY_TUPLE":
                self.stack.append(())
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                last = [self.pop() for _ in range(int(code[-1]))]
                self.stack.append(tuple(reversed(last)))
            case "TUPLE":
                self.stack.append(tuple(self.since_mark()))
            case "MARK":
                self.stack.append(MARK)
            case "MEMOIZE":
                self.memo[len(self.memo)] = self.top()
            case "BINPUT" | "LONG_BINPUT":
                self.memo[value] = self.top()
            case "BINGET" | "LONG_BINGET":
                if value not in self.memo:
                    raise Refused("it asks for a part that it has not made")
                self.stack.append(self.memo[value])
            case "GLOBAL":
                self.stack.append(known(value))
            case "STACK_GLOBAL":
                name, module = self.pop(), self.pop()
                self.stack.append(known(f"{module} {name}" if type(name) is type(module) is str else "something"))
            case "REDUCE":
                values, maker = self.pop(), self.pop()
                self.stack.append(made(maker, values))
            case "BUILD":
                state = self.pop()
                fill(self.top(), state)
            case _:
                raise Refused(f"it has an instruction, {code}, that such lists do not need")

    def top(self) -> Any:
        if not self.stack or self.stack[-1] is MARK:
            raise Refused("it takes a part that is not there")
        return self.stack[-1]

    def pop(self) -> Any:
        top = self.top()
        self.stack.pop()
        return top

    def since_mark(self) -> list[Any]:
        values = []
        while self.stack and self.stack[-1] is not MARK:
            values.append(self.stack.pop())
        if not self.stack:
            raise Refused("it takes parts that are not there")
        self.stack.pop()
        return values[::-1]

    def extend(self, values: list[Any]) -> None:
        if not isinstance(self.top(), list):
            raise Refused("it adds to something that is not a list")
        self.top().extend(values)


def known(name: str) -> Known:
    """What a file means by "module name"."""
    if name not in KNOWN:
        raise Refused(f"it calls for {name[:80]!r}, which could run a program")
    return KNOWN[name]


def made(maker: Any, values: Any) -> Any:
    """What a call of `maker` with these values would give."""
    match maker, values:
        case Known.BYTES_OF_TEXT, (str() as text, "latin1" | "latin-1") if text.isascii() or max(text) <= "\xff":
            return text.encode("latin-1")
        case Known.DTYPE, (str() | bytes() as kind, *_) if plain(kind) in (BYTE, TRUTH):
            return Dtype(plain(kind))
        case Known.EMPTY_ARRAY, (Known.NDARRAY, *_):
            return Array()
        case Known.ARRAY, (bytes() as raw, Dtype() as dtype, (int() as count,), *_) if count == len(raw):
            return Array(dtype.kind, raw)
        case Known.SCALAR, (Dtype(kind="b1"), bytes() as raw) if len(raw) == 1:
            return raw != b"\0"
    raise Refused("it calls for something else than a row of bytes or truths")


def fill(what: Any, state: Any) -> None:
    """Give an array its contents. A type of one byte has nothing to be told."""
    match what, state:
        case Dtype(), _:
            return
        case Array(raw=None), (_, (int() as count,), Dtype() as dtype, _, bytes() as raw) if count == len(raw):
            what.kind, what.raw = dtype.kind, raw
        case _:
            raise Refused("it fills something else than a row of bytes or truths")


def plain(text: str | bytes) -> str:
    return text.decode("latin-1") if isinstance(text, bytes) else text
