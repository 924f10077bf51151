"""Runs to take home: pages that stand alone. What the stage and the rack ask of a server while they show a run lies in
the page, so that they play it by themselves.

    POST /losslab/pages/stage   {"run": id, "map": projection or "", "gallery": bool, "start": {...} or null}
    POST /losslab/pages/rack    {"runs": [{"run": id, "text", "whole", "ink"}], "parted": step or null}
"""

import base64
import json
import struct

import numpy as np

from losslab.render import standalone

from . import gaps
from .frames import A_MAP, NO_CURVES
from .pool import LIVE, Status
from .shelf import Book

MOST_RUNS = 6  # on a page
FLAGS = 19  # where the flags of a frame are
THIN = 3  # of the sphere's grid of gaps, every third place along both of its sides
PAGES = {"stage": ("run", "map", "gallery", "start"), "rack": ("runs", "parted")}  # what each is told


def runs_of(kind: str, said: dict) -> list[str]:
    """The ids of the runs that a page is to hold; ValueError where that makes no page."""
    named = [said.get("run")] if kind == "stage" else [each["run"] for each in said["runs"]]
    if not 1 <= len(named) <= MOST_RUNS:
        raise ValueError(f"A page holds 1 to {MOST_RUNS} runs.")
    return [str(id) for id in named]


def page(kind: str, said: dict, shown: dict[str, tuple[Book, Status]]) -> str:
    """The stage or the rack as one HTML file, with these runs and all of their snapshots so far."""
    answers: dict[str, bytes] = {}
    titles = []
    for id, (book, status) in shown.items():
        count, path = book.look().snapshots, f"/losslab/runs/{id}"
        if not count:
            raise ValueError("There is nothing to save yet; wait for the first snapshot.")
        frames = [book.frame(index) for index in range(count)]
        facts = book.facts()
        titles.append(facts["title"])
        facts["sprite"]["url"] = f"data:image/png;base64,{base64.b64encode(book.sprites()).decode()}"
        answers[path] = json.dumps({"id": id, **standing(status, count), **facts}).encode()
        answers[f"{path}/frames"] = b"".join(struct.pack("<I", len(frame)) + frame for frame in frames)
        for index, frame in enumerate(frames):
            if facts["dim"] in (2, 3) and asks_for_gaps(frame):
                answers[f"{path}/gaps/{index}"] = thinned(book.gaps(index))
    told = {name: said.get(name) for name in PAGES[kind]}
    return standalone.page(
        " · ".join(titles), f"{kind}.js", {"key": kind, "base": "", "replay": 0, "alone": True, **told}, answers
    )


def standing(status: Status, count: int) -> dict:
    """Where the run stands, for ever: one that was under way is over here."""
    state, reason = status.state, status.reason
    if state in LIVE:
        state, reason = "stopped", "Saved while it was training: it went on after this."
    return {"state": state, "reason": reason, "snapshots": count, "queue": 0}


def asks_for_gaps(frame: bytes) -> bool:
    """Are there margin zones that the frame itself does not tell? See frames.py."""
    return frame[FLAGS] & (NO_CURVES | A_MAP) == NO_CURVES


def thinned(grid: bytes) -> bytes:
    """A grid of gaps on the sphere with fewer places, as far as its sides can be divided; on the circle all of it."""
    magic, index, n, classes, dim = gaps.HEADER.unpack_from(grid)
    if dim == 2:
        return grid
    by = THIN if n % THIN == 0 else 2
    gap = np.frombuffer(grid, "<i2", offset=gaps.HEADER.size).reshape(classes, n + 1, n + 1)[:, ::by, ::by]
    return gaps.HEADER.pack(magic, index, n // by, classes, dim) + gap.tobytes()
