"""IDX, the file format of MNIST: a magic number, the sizes, then the bytes."""

import gzip
import math
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np

from .base import DataError

UNSIGNED_BYTE = 0x08
CHUNK = 1 << 20


def read_idx(path: Path, dimensions: int) -> np.ndarray:
    """The array of unsigned bytes in an IDX file, plain or gzipped (then its name ends in .gz).

    Images have three dimensions [n h w], labels one [n]. Anything but exactly the bytes that the header
    announces is a DataError.
    """
    with _opened(path) as file:
        shape = _shape(file, path, dimensions)
        size = math.prod(shape)
        data = bytearray()
        # In chunks: memory follows what the file holds, not what a damaged header claims. The read after the
        # last byte finds trailing bytes, and makes gzip compare its checksum.
        while len(data) <= size and (chunk := file.read(min(CHUNK, size - len(data) + 1))):
            data += chunk
    if len(data) < size:
        raise _damaged(path, f"is cut short: it announces {size} bytes and holds {len(data)}")
    if len(data) > size:
        raise _damaged(path, f"goes on after the {size} bytes that it announces")
    return np.frombuffer(bytes(data), dtype=np.uint8).reshape(shape)


def first_labels(path: Path, count: int) -> tuple[int, ...]:
    """The first labels of a label file, without reading the rest."""
    with _opened(path) as file:
        _shape(file, path, dimensions=1)
        return tuple(file.read(count))


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        with gzip.open(path) if path.suffix == ".gz" else open(path, "rb") as file:
            yield file
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise _damaged(path, f"is not whole gzip data ({str(error).rstrip('.')})") from error
    except PermissionError as error:
        raise DataError(f"{path} may not be read: give yourself the right to read it.") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}): check the file and the disk.") from error


def _shape(file: BinaryIO, path: Path, dimensions: int) -> tuple[int, ...]:
    magic = bytes((0, 0, UNSIGNED_BYTE, dimensions))
    found = file.read(4)
    if found != magic:
        begins = found.hex(" ") or "nothing"
        raise _damaged(path, f"is not the IDX file expected: it begins with {begins} instead of {magic.hex(' ')}")
    sizes = file.read(4 * dimensions)
    if len(sizes) < 4 * dimensions:
        raise _damaged(path, "is cut short inside its header")
    return struct.unpack(f">{dimensions}I", sizes)


def _damaged(path: Path, what: str) -> DataError:
    return DataError(f"{path} {what}; delete it and download the data set again.")
