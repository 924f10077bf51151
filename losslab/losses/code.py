"""Which code a loss is made of: a run belongs to the formulas that trained it."""

import ast
import hashlib
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from .base import Loss
from .named import wraps


def code(*losses: Loss) -> str:
    """A digest of the text of the modules here that define these losses, what they derive from, what they are added
    to, and what those import of each other: the same for as long as that text is. Twelve digits in hex."""
    waiting = [name for loss in losses for part in parts(loss) for name in modules(type(part))]
    found: set[str] = set()
    while waiting:
        if (name := waiting.pop()) not in found:
            found.add(name)
            waiting += source(name)[1]
    text = "\0".join(f"{name}\0{source(name)[0]}" for name in sorted(found))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def parts(loss: Loss) -> list[Loss]:
    """The loss, and those that it is added to."""
    return [loss, *(parts(loss.base) if wraps(loss) else [])]


def modules(kind: type) -> list[str]:
    """The modules here that define a class and what it derives from."""
    return [each.__module__ for each in kind.__mro__ if each.__module__.startswith(f"{__package__}.")]


@cache
def source(name: str) -> tuple[str, tuple[str, ...]]:
    """The text of a module here, and which others of these it imports."""
    path = sys.modules[name].__file__ if name in sys.modules else find_spec(name).origin
    text = Path(path).read_text(encoding="utf-8")
    said = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ImportFrom) and node.level == 1]
    names = [[node.module] if node.module else [each.name for each in node.names] for node in said]
    return text, tuple(f"{__package__}.{each}" for each in sorted({name for some in names for name in some}))
