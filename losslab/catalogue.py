"""Knobs (hyper-parameters that know their range) and finding declared kinds in a folder.

A loss, a data set or a backbone is one class in one file. Being there is its registration: menus, sliders,
command-line flags, URL parameters and tests all read the same declaration.
"""

import dataclasses
import importlib
import math
import pkgutil
from dataclasses import dataclass
from typing import Any, TypeVar

from . import schedules
from .schedules import Schedule

Kind = TypeVar("Kind")


@dataclass(frozen=True)
class Knob:
    """One hyper-parameter: its default, its range or its choices, and how to write it."""

    name: str
    default: Any
    low: float | None = None
    high: float | None = None
    step: float | None = None
    choices: tuple[str, ...] | tuple[int, ...] | None = None
    symbol: str = ""
    unit: str = ""
    help: str = ""
    fixed: bool = False  # not to be changed while a training goes on: what is learned has its shape

    def check(self, value: Any) -> Any:
        """`value` as this knob's type; a number may be a schedule. ValueError with one sentence where it may not be."""
        if self.choices is not None:
            if value not in self.choices:
                listed = ", ".join(map(str, self.choices))
                raise ValueError(f"{self.name} is {value!r}, but it must be one of {listed}.")
            return self.choices[self.choices.index(value)]  # 10.0 is the choice 10
        if isinstance(self.default, bool):
            if not isinstance(value, bool):
                raise ValueError(f"{self.name} is {value!r}, but it must be true or false.")
            return value
        if not isinstance(self.default, int | float):
            return value
        if isinstance(value, str) and "(" in value:
            value = schedules.parse(value)
        whole = isinstance(self.default, int)
        if isinstance(value, Schedule) and not whole:
            for end in value.ends:
                self.check(end)
            return value
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise ValueError(f"{self.name} is {value!r}, but it must be a finite number{self.between()}.")
        if whole and value != int(value):
            raise ValueError(f"{self.name} is {value!r}, but it must be a whole number{self.between()}.")
        if (self.low is not None and value < self.low) or (self.high is not None and value > self.high):
            raise ValueError(f"{self.name} is {value:g}, but it must be{self.between()}.")
        return int(value) if whole else float(value)

    def parse(self, text: str) -> Any:
        """The value written in `text` (a flag or a URL parameter), checked."""
        if isinstance(self.default, bool):
            words = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
            return self.check(words.get(text.lower(), text))
        if isinstance(self.default, int | float):
            if "(" in text:
                return self.check(text)
            try:
                return self.check(float(text))
            except ValueError as error:
                if "could not convert" in str(error):
                    raise ValueError(f"{self.name} is {text!r}, but it must be a number{self.between()}.") from None
                raise
        return self.check(text)

    def between(self) -> str:
        """The range in words: " from 0 to 1.5 rad"."""
        unit = f" {self.unit}" if self.unit else ""
        if self.low is not None and self.high is not None:
            return f" from {self.low:g} to {self.high:g}{unit}"
        if self.low is not None:
            return f" at least {self.low:g}{unit}"
        return ""


def knob(default: Any, low: float | None = None, high: float | None = None, **card: Any) -> Any:
    """A dataclass field that is a hyper-parameter; `card` takes step, choices, symbol, unit, help, fixed."""
    return dataclasses.field(default=default, metadata={"knob": Knob("", default, low, high, **card)})


def knobs(kind: Any) -> dict[str, Knob]:
    """The knobs of a dataclass (or of one of its values) by name, in the order they were declared."""
    return {
        field.name: dataclasses.replace(field.metadata["knob"], name=field.name)
        for field in dataclasses.fields(kind)
        if "knob" in field.metadata
    }


def check_knobs(value: Any) -> None:
    """Check every knob of a frozen dataclass and store it in its own type (1 becomes 1.0), so that equal
    values are equal, hash alike and are written alike."""
    for name, declared in knobs(value).items():
        object.__setattr__(value, name, declared.check(getattr(value, name)))


def discover(package: str, base: type[Kind]) -> dict[str, type[Kind]]:
    """Every class declared with a `card` in the modules of `package`, by class name."""
    folder = importlib.import_module(package).__path__
    modules = [importlib.import_module(f"{package}.{found.name}") for found in pkgutil.iter_modules(folder)]
    return {
        cls.__name__: cls
        for module in modules
        for cls in vars(module).values()
        if isinstance(cls, type) and issubclass(cls, base) and cls.__module__ == module.__name__ and "card" in vars(cls)
    }
