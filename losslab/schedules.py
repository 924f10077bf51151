"""Schedules: the value of a knob as a function of the training step, usable wherever a number is.

    ArcFace(margin=Linear(0, 0.5, steps=1000))

A schedule is written like the call that makes it, in a flag, a link or a recipe: `--margin "Linear(0, 0.5, 1000)"`.
"""

import ast
import dataclasses
import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Schedule:
    """A number that changes with the step. `at` works on tensors, so that a compiled training step stays one graph."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                raise ValueError(f"{field.name} of a schedule is {value!r}, but it must be a finite number.")
            if field.name == "steps" and (value < 1 or value != int(value)):
                raise ValueError(f"steps of a schedule is {value!r}, but it must be a whole number at least 1.")
            object.__setattr__(self, field.name, int(value) if field.name == "steps" else float(value))

    def at(self, step: Tensor) -> Tensor:
        """The value at `step` (a whole number, 0 before the first training step), a tensor without dimensions."""
        raise NotImplementedError

    @property
    def ends(self) -> tuple[float, float]:
        """The first and the last value; every other lies between them."""
        raise NotImplementedError

    def __str__(self) -> str:
        # Every digit: `parse` must find the same schedule again.
        values = (repr(getattr(self, field.name)).removesuffix(".0") for field in dataclasses.fields(self))
        return f"{type(self).__name__}({', '.join(values)})"


@dataclass(frozen=True)
class Linear(Schedule):
    """From `start` to `end` on a straight line over `steps` steps, then `end`."""

    start: float
    end: float
    steps: int

    def at(self, step: Tensor) -> Tensor:
        return self.start + (self.end - self.start) * (step / self.steps).clamp(max=1)

    @property
    def ends(self) -> tuple[float, float]:
        return self.start, self.end


@dataclass(frozen=True)
class Cosine(Schedule):
    """From `start` to `end` over `steps` steps along half a cosine wave: slowly at first and at last."""

    start: float
    end: float
    steps: int

    def at(self, step: Tensor) -> Tensor:
        done = (step / self.steps).clamp(max=1)
        return self.end + (self.start - self.end) * (1 + (math.pi * done).cos()) / 2

    @property
    def ends(self) -> tuple[float, float]:
        return self.start, self.end


@dataclass(frozen=True)
class Decay(Schedule):
    """max(least, start·(1 + rate·step)^−power), which is how SphereFace lowers its λ.

    CASIA-WebFace in the authors' code: Decay(1000, 5, rate=0.12, power=1); L-Softmax on MNIST:
    Decay(1000, 0, rate=2.5e-5, power=35).
    """

    start: float
    least: float
    rate: float
    power: float

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.start, self.rate, self.power) < 0:
            raise ValueError(f"{self} does not decay: its start, its rate and its power must be at least 0.")

    def at(self, step: Tensor) -> Tensor:
        return (self.start * (1 + self.rate * step) ** -self.power).clamp(min=self.least)

    @property
    def ends(self) -> tuple[float, float]:
        return max(self.start, self.least), self.least


KINDS = {kind.__name__: kind for kind in (Linear, Cosine, Decay)}


def parse(text: str) -> Schedule:
    """The schedule that `text` is the call of; ValueError says what is wrong with it."""
    wrong = f"{text[:80]!r} is no schedule; write one of {', '.join(KINDS)} with its numbers, as Linear(0, 0.5, 1000)."
    try:
        call = ast.parse(text.strip(), mode="eval").body
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
            raise ValueError(wrong)
        kind = KINDS[call.func.id]
        numbers = [ast.literal_eval(value) for value in call.args]
        named = {value.arg: ast.literal_eval(value.value) for value in call.keywords}
    except (SyntaxError, KeyError, ValueError, RecursionError, MemoryError):
        raise ValueError(wrong) from None
    try:
        return kind(*numbers, **named)
    except (TypeError, OverflowError):
        raise ValueError(wrong) from None


def number(value: float | Schedule, step: int) -> float:
    """What a knob is worth at a step: itself, or its schedule's value there."""
    return value.at(torch.tensor(step, dtype=torch.float64)).item() if isinstance(value, Schedule) else value
