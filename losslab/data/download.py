"""Fetch one file from the first of several mirrors that gives it whole.

Bytes gather in a `.part` file beside the target and move into place only when their checksum is right, so a
target that exists is whole.
"""

import errno
import hashlib
import http.client
import os
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from .base import DataError

try:
    import fcntl
except ImportError:  # Windows: no lock there, so two downloads at once can spoil each other, and say so
    fcntl = None

CHUNK = 1 << 16
TIMEOUT = 20.0  # seconds without a byte, connecting included


class MirrorError(Exception):
    """What one mirror did wrong; the next may do better."""


def fetch(
    urls: Sequence[str],
    target: Path,
    *,
    size: int,
    md5: str,
    progress: Callable[[int], None],
    timeout: float = TIMEOUT,
) -> None:
    """Put the file of `size` bytes that every URL offers at `target`; calls progress(done_bytes) on the way.

    A download that broke off, now or in an earlier call, goes on where it stopped, at whichever mirror
    answers. DataError when no mirror gives the right file or the disk does not take it.
    """
    with _disk(target, size):
        target.parent.mkdir(parents=True, exist_ok=True)
    with _alone(target, size):
        with _disk(target, size):
            there = _whole(target, size, md5)
        if not there:
            part = target.with_name(target.name + ".part")
            _fetch_first(urls, part, size, md5, progress, timeout)
            with _disk(target, size):
                os.replace(part, target)
    progress(size)


def _fetch_first(
    urls: Sequence[str], part: Path, size: int, md5: str, progress: Callable[[int], None], timeout: float
) -> None:
    """Make `part` whole from the first mirror that can."""
    failures = []
    for url in urls:
        try:
            return _fetch_from(url, part, size, md5, progress, timeout)
        except MirrorError as failure:
            failures.append(f"{urllib.parse.urlsplit(url).netloc}: {failure}")
    raise DataError(
        f"{part.stem} could not be downloaded ({'; '.join(failures)}): check the connection and try again, "
        f"or put the file into {part.parent} yourself."
    )


def _fetch_from(url: str, part: Path, size: int, md5: str, progress: Callable[[int], None], timeout: float) -> None:
    """Make `part` whole from one mirror, asking again as long as every answer brings it further."""
    ours = _length(part) == 0  # whether all of its bytes come from this mirror
    while True:
        before = _length(part)
        if before < size:
            try:
                _append(part, url, before, size, progress, timeout)
            except MirrorError:
                if _length(part) > before:
                    continue
                raise
        with _disk(part, size):
            if _whole(part, size, md5):
                return
            part.unlink(missing_ok=True)
        if ours:
            raise MirrorError("its file has the wrong checksum")
        ours = True  # the wrong bytes may have been there before: one more try, from the start


def _append(part: Path, url: str, start: int, size: int, progress: Callable[[int], None], timeout: float) -> None:
    """Ask for the bytes from `start` on and write what comes, up to the end of the file."""
    request = urllib.request.Request(url, headers={"Range": f"bytes={start}-"} if start else {})
    with _network():
        response = urllib.request.urlopen(request, timeout=timeout)
    with response:
        at = _offset(response, start, size)
        with _disk(part, size):
            file = part.open("ab" if at else "wb", buffering=0)
        with file:
            while at < size:
                with _network():
                    chunk = response.read1(min(CHUNK, size - at))
                if not chunk:
                    raise MirrorError(f"it broke off after {at} of {size} bytes")
                with _disk(part, size):
                    while chunk:  # an unbuffered write may take less than it is given
                        written = file.write(chunk)
                        chunk = chunk[written:]
                        at += written
                progress(at)


def _offset(response: http.client.HTTPResponse, asked: int, size: int) -> int:
    """Where in the file the answer begins: where we asked (206), or at 0 when ranges are ignored (200)."""
    if response.status == 206:
        expected = f"bytes {asked}-{size - 1}/{size}"
        found = response.headers.get("Content-Range", "")
        if found != expected:
            raise MirrorError(f"it gives {found or 'a part without saying which'} instead of {expected}")
        return asked
    length = response.headers.get("Content-Length")
    if length is not None and length != str(size):
        raise MirrorError(f"its file has {length} bytes instead of {size}")
    return 0


@contextmanager
def _alone(target: Path, size: int) -> Iterator[None]:
    """Let one download at a time into the target's folder: a second waits, then finds what it came for."""
    if fcntl is None:
        yield
        return
    with _disk(target, size):
        handle = os.open(target.parent, os.O_RDONLY)
    try:
        with _disk(target, size):
            fcntl.flock(handle, fcntl.LOCK_EX)  # released by closing, and by the end of a killed process
        yield
    finally:
        os.close(handle)


@contextmanager
def _network() -> Iterator[None]:
    try:
        yield
    except urllib.error.HTTPError as error:
        raise MirrorError(f"HTTP {error.code} {error.reason}") from error
    except urllib.error.URLError as error:
        raise MirrorError(getattr(error.reason, "strerror", None) or str(error.reason)) from error
    except (OSError, http.client.HTTPException) as error:
        raise MirrorError(str(error) or type(error).__name__) from error


@contextmanager
def _disk(path: Path, size: int) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            problem = f"There is no room for the {size} bytes of {path.name} in {path.parent}: free some space"
        elif isinstance(error, PermissionError) or error.errno == errno.EROFS:
            problem = f"{path.parent} may not be written to: give yourself the right"
        else:
            problem = f"{path} cannot be written ({error.strerror}): make way for it"
        raise DataError(f"{problem}, or set LOSSLAB_DATA to another folder.") from error


def _length(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _whole(path: Path, size: int, md5: str) -> bool:
    """Whether the file is the right one. The checksum guards against accidents, so MD5 serves."""
    return _length(path) == size and hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest() == md5
