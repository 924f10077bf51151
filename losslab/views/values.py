"""Values of a view as text, for links: numbers, words, lists with commas, lists of directions with spaces between."""

import math
from typing import Any

LONGEST = 2000  # characters of a list in a link


def written_value(value: Any) -> str:
    """`read_value` is its inverse."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        inner = isinstance(value[0], list | tuple) if value else False
        return (" " if inner else ",").join(map(written_value, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def read_value(default: Any, name: str, text: str) -> Any:
    """What `text` says of the value `name`, in the shape of its default: ValueError with a sentence where it cannot."""
    if isinstance(default, str) or default is None:
        return text
    if len(text) > LONGEST:
        raise ValueError(f"{name} is longer than {LONGEST} characters; shorten it.")
    nested = bool(default) and isinstance(default[0], tuple)
    try:
        if nested:
            return tuple(row(part) for part in text.split())
        return row(text)
    except ValueError:
        example = written_value(default) or "1,2,3"
        raise ValueError(f"{name} is {text[:60]!r}, but it must be numbers such as {example[:60]}.") from None


def row(text: str) -> tuple[float, ...]:
    numbers = tuple(float(each) for each in text.split(",") if each.strip())
    if not all(map(math.isfinite, numbers)):
        raise ValueError
    return numbers
