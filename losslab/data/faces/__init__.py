"""Faces on disk, whatever they come in."""

from .found import Found, find, open_source, pair_set, pair_sets, sources
from .pairs import Pairs, read_pairs
from .source import FaceSource
from .subset import FaceImages, FaceSubset, load

__all__ = [
    "FaceImages",
    "FaceSource",
    "FaceSubset",
    "Found",
    "Pairs",
    "find",
    "load",
    "open_source",
    "pair_set",
    "pair_sets",
    "read_pairs",
    "sources",
]
