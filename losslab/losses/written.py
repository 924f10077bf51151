"""A loss as text, written like the call that makes it: what links, flags and captions say.

    ArcFace(margin=0.5, scale=16)    IntraLoss(base='CosFace', base_margin=0.2, weight=Linear(0, 0.1, 500))

Knobs that are not named have the defaults of their class. Reading executes nothing.
"""

import ast
from typing import Any

from losslab.schedules import Schedule

from .base import Loss
from .named import BASE, make, settings, turned

LONGEST = 2000  # characters that are read


def written(loss: Loss) -> str:
    """The shortest call that makes this loss; `read` is its inverse."""
    asked = settings(loss)
    bases = {name: value for name, value in asked.items() if set(name.split("_")) == {BASE}}
    default = settings(type(loss)())
    around = settings(turned(type(loss)(), bases))  # another base begins with its own defaults
    named = {name: value for name, value in asked.items() if value != (default if name in bases else around).get(name)}
    return f"{type(loss).__name__}({', '.join(f'{name}={literal(value)}' for name, value in named.items())})"


def literal(value: Any) -> str:
    if isinstance(value, Schedule):
        return str(value)
    return repr(value).removesuffix(".0") if isinstance(value, float) else repr(value)


def read(text: str) -> Loss:
    """The loss that `text` is the call (or the bare name) of; ValueError with one sentence for anything else."""
    wrong = f"{text[:80]!r} is no loss; write its name and the knobs to set, as ArcFace(margin=0.5, scale=16)."
    if len(text) > LONGEST:
        raise ValueError(f"A loss is written with at most {LONGEST} characters; this text has {len(text)}.")
    try:
        said = ast.parse(text.strip(), mode="eval").body
        call = said if isinstance(said, ast.Call) else ast.Call(said, [], [])
        named = {each.arg: each.value for each in call.keywords}
        if not isinstance(call.func, ast.Name) or call.args or None in named or len(named) < len(call.keywords):
            raise ValueError(wrong)
        values = {name: value(each) for name, each in named.items()}
    except (SyntaxError, TypeError, ValueError, RecursionError, MemoryError):
        raise ValueError(wrong) from None
    try:
        return make(call.func.id, **values)
    except OverflowError:  # a whole number that no computer's number can hold
        raise ValueError(wrong) from None


def value(said: ast.expr) -> Any:
    """What is said of a knob: a number, a word or a truth value; a schedule is a word here, its call."""
    if isinstance(said, ast.Call):
        return ast.unparse(said)
    constant = ast.literal_eval(said)
    if not isinstance(constant, bool | int | float | str):
        raise ValueError(f"{constant!r} is no value of a knob.")
    return constant
