"""The formula of a loss with its knobs filled in: what stands beside a picture."""

import re

from losslab import catalogue as declared
from losslab.schedules import Schedule

from .base import Loss

GREEK = {"α": r"\alpha", "β": r"\beta", "γ": r"\gamma", "λ": r"\lambda", "μ": r"\mu", "ρ": r"\rho", "σ": r"\sigma",
         "τ": r"\tau"}  # fmt: skip
LOW = str.maketrans("₁₂₃", "123")
# Words are no symbols; a letter with an index is one with it.
TOKEN = re.compile(
    r"\\(?:text|mathrm|mathcal|mathbb)\s*(?:\{[^}]*\}|.)|\\[a-zA-Z]+(?:_\w)?|[a-zA-Z](?:_(?:\w|\{[^}]*\}|\\[a-z]+))?|."
)


def filled(loss: Loss) -> str:
    """The formula of the loss (without its base's) in TeX, with a number for every knob that it has a symbol of. The
    own class's y and the others' j are no knobs and stay."""
    numbers = {tex(knob.symbol): value for knob, value in measured(loss)}
    written = ""
    for token in TOKEN.findall(loss.card.formula):
        if (value := numbers.get(token)) is None:
            written += token
            continue
        number = f"({value:.4g})" if value < 0 else f"{value:.4g}"
        times = r"\cdot" if re.search(r"\d\}?(\\,)?$", written) and not written.endswith("frac") else ""
        written += f"{times}{{{number}}}"
    return written


def valued(loss: Loss) -> str:
    """The knobs that are numbers, in words: "s = 16, m = 0.5 rad"."""
    return ", ".join(
        f"{knob.symbol or knob.name.replace('_', ' ')} = {f'{value:.4g}'.replace('-', '−')}"
        f"{f' {knob.unit}' if knob.unit else ''}"
        for knob, value in measured(loss)
    )


def measured(loss: Loss) -> list:
    """The loss's own knobs that are numbers, each with its value; schedules have none that stands for them."""
    return [
        (knob, value)
        for name, knob in declared.knobs(loss).items()
        if isinstance(value := getattr(loss, name), int | float) and not isinstance(value, bool | Schedule)
    ]


def tex(symbol: str) -> str:
    """A symbol as formulas have it: λ is \\lambda, m₁ is m_1."""
    plain = GREEK.get(symbol, symbol)
    return f"{plain[0]}_{plain[1].translate(LOW)}" if len(plain) == 2 and plain[1] in "₁₂₃" else plain
