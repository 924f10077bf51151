"""The page of a loss, made from what the loss says of itself: card, knobs, docstring, curves and source.

Nothing here is kept by hand, so nothing can drift: `docs/losses/` is written from it, the app shows it, and a loss that
is dropped in has its page at once.
"""

import dataclasses
import inspect
import math
import re
import textwrap
from functools import cache
from typing import Any

import torch
from torch import Tensor

import losslab
from losslab import catalogue, losses
from losslab.catalogue import Knob
from losslab.head import Head, head_for
from losslab.losses import CODES, SMALL_SOURCE, Loss, PairLoss, SoftmaxLoss, Term

RECONSTRUCTION = (
    "**A reconstruction.** The paper's own formula was not to be had; this is our reading of it. "
    "Say “reconstruction” wherever you report a result."
)


# -- the page ---------------------------------------------------------------------------------------------


def page(kind: type[Loss]) -> str:
    """The page of a loss in Markdown. Its picture is expected beside it, as `<class name>.svg`."""
    card, name = kind.card, kind.__name__
    parts = [
        f"# {prose(card.title)}",
        f"`{name}` · {card.year} · {paper(kind)} · {card.family}",
        f"> {RECONSTRUCTION}" if card.reconstruction else "",
        f"```math\n{card.formula}\n```",
        described(kind),
        f"**What it does to the sphere.** {prose(card.geometry)}",
        f"**When to use it.** {prose(card.use)}",
        f"**What goes wrong.** {prose(card.hazard)}",
        f"![Curves of {name} over the angle]({name}.svg)",
        caption(kind),
        "## Knobs",
        knob_table(kind),
        listed(sources(kind)).replace("docs/LOG.md", "[docs/LOG.md](../LOG.md)"),
        "## What it looks at, and what it keeps",
        listed(nature(kind)),
        "## A step with it",
        f"```python\n{example(kind)}```",
        "## The code",
        f"```python\n{source(kind)}```",
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def listed(sentences: list[str]) -> str:
    return "\n".join(f"- {sentence}" for sentence in sentences)


def prose(text: str) -> str:
    """Plain text as Markdown: what stands between backticks is code, no other sign has a meaning."""
    signs = r"([\\*<>\[\]$~|]|(?<!\w)_|_(?!\w))"
    pieces = re.split(r"(`[^`]+`)", text)
    return "".join(piece if i % 2 else re.sub(signs, r"\\\1", piece) for i, piece in enumerate(pieces))


def paper(kind: type[Loss]) -> str:
    """Where the loss was published, with a link where there is one."""
    return re.sub(r"arXiv:(\d{4}\.\d{5})", r"[arXiv:\1](https://arxiv.org/abs/\1)", kind.card.paper)


def described(kind: type[Loss]) -> str:
    """The docstring of a loss as Markdown, in which columns keep their places."""
    parts = []
    for part in inspect.getdoc(kind).split("\n\n"):
        columns = part.startswith(" ") or re.search(r"\S {3,}\S", part)
        parts.append(f"```text\n{textwrap.dedent(part)}\n```" if columns else prose(part))
    return "\n\n".join(parts)


def source(kind: type[Loss]) -> str:
    """The text of the class: all that runs."""
    return inspect.getsource(kind)


def example(kind: type[Loss]) -> str:
    """A few lines that make a head and take a step with it."""
    head, name = head_for(kind()).__name__, kind.__name__
    used = [name, *([type(kind().base).__name__] if losses.wraps(kind) else []), head]
    shipped = sorted((each for each in used if hasattr(losslab, each)), key=str.lower)
    lines = ["import torch", "", f"from losslab import {', '.join(shipped)}"]
    if name not in shipped:
        lines.append(f"from {kind.__module__} import {name}")
    lines += [
        "",
        f"head = {head}({call(kind())}, dim=512, classes=1000)",
        "embedding, label = torch.randn(32, 512, requires_grad=True), torch.arange(32) // 4",
        "head(embedding, label).mean().backward()",
    ]
    if changes(kind, "end_epoch"):
        lines.append("head.end_epoch()  # after each epoch")
    return "\n".join(lines) + "\n"


def call(loss: Loss) -> str:
    """The call that makes a loss, with the two knobs that a reader turns first."""
    knobs = [name for name, knob in catalogue.knobs(loss).items() if not knob.choices and not knob.fixed]
    own = {name: getattr(loss, name) for name in knobs if not isinstance(getattr(loss, name), bool)}
    said = [f"{name}={call(value) if isinstance(value, Loss) else f'{value:g}'}" for name, value in own.items()]
    return f"{type(loss).__name__}({', '.join(said[:2])})"


# -- knobs ------------------------------------------------------------------------------------------------


def knob_table(kind: type[Loss]) -> str:
    """Every knob, its symbol, range, both defaults and what it does, as a Markdown table; "" without knobs."""
    published, small = losses.starting(kind, small=False), losses.starting(kind)
    knobs, at, at_small = losses.knobs(published), losses.settings(published), losses.settings(small)
    if not knobs:
        return ""
    rows = ["| knob | symbol | range | paper | small | what it does |", "| --- | --- | --- | --- | --- | --- |"]
    for name, knob in knobs.items():
        value, other = written(at[name]), written(at_small[name])
        cells = [f"`{name}`", prose(knob.symbol), within(knob), value, other if other == value else f"**{other}**"]
        help = prose(knob.help) + (" Fixed while a training goes on." if knob.fixed else "")
        rows.append(f"| {' | '.join([*cells, help])} |")
    return "\n".join(rows)


def within(knob: Knob) -> str:
    """What a knob may be set to."""
    if knob.choices == losses.bases():
        return "a loss with prototypes"
    if knob.choices:
        return ", ".join(knob.choices).replace("_", "\\_")
    if isinstance(knob.default, bool):
        return "true, false"
    unit = f" {knob.unit}" if knob.unit else ""
    return f"{written(knob.low)} to {written(knob.high)}{unit}" if knob.high is not None else knob.between().strip()


def written(value: Any) -> str:
    """The value of a knob as a reader wants it."""
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, int | float):
        return str(value).replace("_", "\\_")
    short = f"{value:.4g}"
    return (f"{value:.8f}".rstrip("0") if "e" in short else short).replace("-", "−")


def sources(kind: type[Loss]) -> list[str]:
    """Where the defaults come from, the paper's and the small ones."""
    if not losses.knobs(kind()):
        return [prose(kind.card.source)]
    said = [f"**paper**, for thousands of classes in 512 dimensions. {prose(kind.card.source)}"]
    if losses.starting(kind) != kind():
        said.append(f"**small**, for a few classes in 2 or 3 dimensions. {prose(SMALL_SOURCE)}")
    return said


# -- what it looks at, and what it keeps ------------------------------------------------------------------


def nature(kind: type[Loss]) -> list[str]:
    """How the loss joins the classes, what in the data it weighs, what its gradient is of, what the head keeps."""
    loss = kind()
    return [
        f"**Classes.** {joins(loss)}",
        *([f"**Base.** {stands_on(loss)}"] if losses.wraps(loss) else []),
        f"**Lengths.** {weighs(loss)}",
        f"**Gradient.** {slope(loss)}",
        *(["**Chance.** In training every sample gets a fresh draw at every step."] if draws(loss) else []),
        f"**Memory.** {keeps(loss)}",
    ]


def joins(loss: Loss) -> str:
    if isinstance(loss, PairLoss):
        return "None: the samples of a batch are compared with one another, in a `PairHead`."
    if isinstance(loss, Term):
        return "A term: it is added to another loss, whose curves, margin and ranking stay as they are."
    each = f" with {loss.subcentres} prototypes each" if loss.subcentres > 1 else ""
    if isinstance(loss, SoftmaxLoss):
        return f"A softmax over all classes{each} joins its curves: −log of the own class's share."
    return f"The classes{each} are joined as the formula says, without a softmax."


def stands_on(loss: Loss) -> str:
    others = ", ".join(name for name in losses.bases() if name != type(loss.base).__name__)
    return f"{type(loss.base).__name__} by default. Any of these works as well, with its own knobs: {others}."


def weighs(loss: Loss) -> str:
    around = f"Around {type(loss.base).__name__}, " if losses.wraps(loss) else ""
    counted = [what for what, does in (("embeddings", loss.weighs_norm), ("prototypes", loss.weighs_length)) if does]
    said = f"the lengths of {' and of '.join(counted)} count." if counted else "only directions count, no length does."
    return around + said if around else said[0].upper() + said[1:]


def slope(loss: Loss) -> str:
    knobs = losses.knobs(loss)
    said = "The derivative of the value."
    if loss.holds_still:
        said = "Part of the formula is a constant to it: it changes the value and passes no gradient."
    if {"gradient", "beyond"} <= set(knobs):
        said += f" `like=` sets `gradient` and `beyond` as a known code has them: {', '.join(CODES)}."
    return said


def draws(loss: Loss) -> bool:
    """Does it draw at random in training?"""
    if isinstance(loss, PairLoss):
        return False
    head, embedding, label = head_for(loss)(loss, 2, 2, seed=0), torch.eye(2), torch.arange(2)
    with torch.no_grad():
        still, fresh = (loss.positive(head.train(training).angles(embedding, label)) for training in (False, True))
    return not torch.equal(still, fresh)


def keeps(loss: Loss) -> str:
    """What the head keeps for it, by default and with each of its other choices."""
    now = contents(loss)
    said = [f"Besides prototypes the head keeps {now}." if now else "The head keeps prototypes and nothing else."]
    if isinstance(loss, PairLoss):
        said = ["Nothing is learned. The means of the classes are followed, to be looked at and ranked by."]
    for name, knob in catalogue.knobs(loss).items():
        options = (not knob.default,) if isinstance(knob.default, bool) else knob.choices or ()
        for option in options:
            then = contents(dataclasses.replace(loss, **{name: option}))
            if then != now:
                said.append(f"With `{name}={option!r}`: {then or 'nothing else'}.")
    hooks = {
        "observe": "before each training batch is judged",
        "remember": "after each training batch",
        "end_epoch": "at the end of each epoch",
    }
    if when := [words for hook, words in hooks.items() if changes(type(loss), hook)]:
        said.append(f"Slow state changes {' and '.join(when)}.")
    return " ".join(said)


def contents(loss: Loss) -> str:
    """What `begin` makes, by name and shape, in words."""
    dim, classes = 5, 7  # told apart by their sizes
    sizes = {dim: "d", classes: "C"}
    named: dict[str, list[str]] = {}
    for name, value in loss.begin(dim, classes, torch.Generator().manual_seed(0)).items():
        shape = " ".join(sizes.get(size, str(size)) for size in value.shape)
        how = "learned" if isinstance(value, torch.nn.Parameter) else "slow state"
        named.setdefault(how, []).append(f"`{name}`" + (f" [{shape}]" if shape else ""))
    return " and ".join(f"{', '.join(names)} ({how})" for how, names in named.items())


def changes(kind: type[Loss], hook: str) -> bool:
    """Does the loss do something of its own there?"""
    return next(each for each in kind.__mro__ if hook in vars(each)) not in (Loss, Term)


# -- the curves -------------------------------------------------------------------------------------------

ANGLES = torch.arange(181, dtype=torch.float64).deg2rad()
PLAIN = ANGLES.cos().tolist()


@dataclasses.dataclass(frozen=True)
class Line:
    """A curve of the picture: what stands at its end, its values at `ANGLES`, and how it is drawn (see `STYLE`)."""

    label: str
    values: list[float]
    style: str


@cache
def lines(kind: type[Loss]) -> tuple[Line, ...]:
    """The curves of a loss: the positive at both sets of defaults (or, of a loss that adapts, over what it adapts to),
    the negative where it is bent, and the plain cosine."""
    loss = kind()
    if loss.adapts:
        return *family(loss), Line("cosine", PLAIN, "plain")
    sets = {"paper": tables(loss), "small": tables(losses.starting(kind))}
    if sets["small"] == sets["paper"]:
        sets = {"": sets["paper"]}
    found = []
    for name, (positive, _) in sets.items():
        if not same(positive, PLAIN):
            found.append(Line(", ".join(filter(None, ["own", name])), positive, name or "paper"))
    bent = {name: negative for name, (_, negative) in sets.items() if loss.pointwise and not same(negative, PLAIN)}
    if len(bent) == 2 and same(bent["paper"], bent["small"]):
        bent = {"": bent["paper"]}
    for name, negative in bent.items():
        found.append(Line(", ".join(filter(None, ["others", name])), negative, f"others {name}".strip()))
    values = [value for line in found for value in line.values]
    if not found:
        return (Line("own, others", PLAIN, "paper"),)
    # A cosine beside numbers of another size would say nothing.
    if not bent or max(values) - min(values) > 0.85 * (max(*values, 1) - min(*values, -1)):
        found.append(Line("cosine", PLAIN, "plain"))
    return tuple(found)


def tables(loss: Loss) -> tuple[list[float], list[float]]:
    """The two curves at `ANGLES`, of embeddings and prototypes of length 1."""
    positive, negative = head_for(loss)(loss, 2, 2, seed=0).double().eval().curves(ANGLES)
    return positive[0].tolist(), negative.tolist()


def same(one: list[float], other: list[float]) -> bool:
    return all(math.isclose(a, b, abs_tol=1e-9) for a, b in zip(one, other, strict=True))


def family(loss: Loss) -> list[Line]:
    """The positive where it asks least, half and most, after some training steps on classes that differ."""
    head = settled(loss)
    if loss.weighs_norm:
        lengths = torch.logspace(-2, 3, 501).tolist()
        first = head.curves(ANGLES, lengths[0])[0][0]
        away = [float((head.curves(ANGLES, length)[0][0] - first).abs().max()) for length in lengths]
        low = max(length for length, far in zip(lengths, away, strict=True) if far <= 1e-3 * max(away))
        high = min(length for length, far in zip(lengths, away, strict=True) if far >= 0.999 * max(away))
        low, high = (float(f"{length:.2g}") for length in (low, high))
        chosen = {f"‖x‖ = {length:g}": head.curves(ANGLES, length)[0][0] for length in (low, (low + high) / 2, high)}
    else:
        curves = head.curves(ANGLES)[0]
        order = curves[:, :91].mean(1).argsort(descending=True).tolist()
        chosen = dict(
            zip(("least", "middle", "most"), (curves[order[i]] for i in (0, len(order) // 2, -1)), strict=True)
        )
    styles = ("paper least", "paper", "paper most")
    return [Line(label, curve.tolist(), style) for (label, curve), style in zip(chosen.items(), styles, strict=True)]


def settled(loss: Loss) -> Head:
    """A head after two epochs over four classes on a circle, the later the smaller, wider and lonelier."""
    places, numbers, spreads = (205, 240, 120, 0), (40, 30, 20, 10), (5, 10, 15, 20)  # places and spreads in degrees
    label = torch.arange(4).repeat_interleave(torch.tensor(numbers))
    share = torch.cat([torch.linspace(-1, 1, number, dtype=torch.float64) for number in numbers])
    center, spread = (torch.tensor(each, dtype=torch.float64).deg2rad() for each in (places, spreads))
    head = head_for(loss)(loss, 2, 4, seed=0).double()
    head.prototypes.data = around(center)
    embedding = (20 + 5 * share)[:, None] * around(center[label] + spread[label] * share)
    with torch.no_grad():
        for _ in range(2):
            for _ in range(400):
                head(embedding, label)
            head.end_epoch()
    return head.eval()


def around(angle: Tensor) -> Tensor:
    return torch.stack([angle.cos(), angle.sin()], 1)


def caption(kind: type[Loss]) -> str:
    """What the picture shows, and what it cannot."""
    loss, drawn = kind(), [line.style for line in lines(kind)]
    if isinstance(loss, PairLoss):
        said = ["How a sample stands to the mean of a class: for pictures and ranking, training compares samples."]
    elif losses.wraps(loss):
        said = [f"A term leaves the curves of its base alone: these are {type(loss.base).__name__}'s."]
    else:
        said = ["What the own class gets at each angle to its prototype, before a scale or a length multiplies it."]
    if drawn == ["paper"]:
        said.append("It is the plain cosine, and so it is for the other classes.")
    elif drawn[:2] == ["paper", "plain"] and losses.starting(kind) != loss:
        said.append("Both sets of defaults give this one curve.")
    if loss.adapts:
        three = "lengths of embeddings" if loss.weighs_norm else "classes: the one asked least, a middle one, the most"
        said.append(f"It follows the data. Drawn after two epochs over four made-up classes, for three {three}.")
    if not loss.pointwise:
        said.append("What another class gets depends on more than the angle to it, so it has no curve.")
    elif any(style.startswith("others") for style in drawn):
        said.append("Dotted: what another class gets at that angle.")
    if draws(loss):
        said.append("Its random margins are at their mean.")
    return " ".join(said)


WIDTH, HEIGHT = 520, 320
LEFT, RIGHT, TOP, BOTTOM = 44, 416, 26, 276  # of the plot; to the right of it stand the names of the curves
APART = 16  # the least distance between two names
STYLE = """
svg{color-scheme:light dark;color:#3d434c;color:light-dark(#3d434c,#c8cdd5)}
.back{fill:#fff;fill:light-dark(#fff,#1c1c1e)}
.grid{stroke:#e4e6ea;stroke:light-dark(#e4e6ea,#37383c)}
.plain{color:#6b7280;color:light-dark(#6b7280,#9aa3ad)}
.paper{color:#2f6fb5;color:light-dark(#2f6fb5,#6aaee8)}
.small{color:#a85a00;color:light-dark(#a85a00,#f0a860)}
text{font:13px system-ui,sans-serif;fill:currentColor}
polyline{fill:none;stroke:currentColor;stroke-width:2.4;stroke-linejoin:round;stroke-linecap:round}
polyline.plain{stroke-width:1}
polyline.small{stroke-width:2;stroke-dasharray:8 5}
polyline.others{stroke-width:2.2;stroke-dasharray:.1 5}
polyline.least{stroke-width:1.4}
polyline.most{stroke-width:3.6}
"""


@cache
def curve(kind: type[Loss]) -> str:
    """The picture of a loss's curves over the angle, as SVG for light and dark pages."""
    drawn = lines(kind)
    values = [value for line in drawn for value in line.values]
    step = next(step for step in (0.25, 0.5, 1, 2, 5, 10, 20, 50, 100, 1000) if max(values) - min(values) <= 6 * step)
    low, high = math.floor(min(values) / step + 1e-6), math.ceil(max(values) / step - 1e-6)

    def across(angle: float) -> float:
        return LEFT + (RIGHT - LEFT) * angle / 180

    def down(value: float) -> float:
        return BOTTOM - (BOTTOM - TOP) * (value / step - low) / (high - low)

    title = f"{kind.card.title}: {', '.join(line.label for line in drawn)} over the angle"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        f'role="img">',
        f"<title>{title}</title>",
        f"<style>{STYLE}</style>",
        f'<rect class="back" width="{WIDTH}" height="{HEIGHT}" rx="6"/>',
    ]
    for angle in range(0, 181, 30):
        x = number(across(angle))
        parts.append(f'<path class="grid" d="M{x} {TOP}V{BOTTOM}"/>')
        parts.append(f'<text x="{x}" y="{BOTTOM + 18}" text-anchor="middle">{angle}°</text>')
    for tick in range(low, high + 1):
        y = down(tick * step)
        parts.append(f'<path class="grid" d="M{LEFT} {number(y)}H{RIGHT}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{number(y + 4)}" text-anchor="end">{written(tick * step)}</text>')
    what = "prototype" if not issubclass(kind, PairLoss) else "class mean"
    parts.append(f'<text x="{(LEFT + RIGHT) / 2}" y="{BOTTOM + 36}" text-anchor="middle">angle to the {what}</text>')
    for line in reversed(drawn):
        points = " ".join(f"{number(across(i))},{number(down(v))}" for i, v in enumerate(line.values))
        parts.append(f'<polyline class="{line.style}" points="{points}"/>')
    for line, y in zip(drawn, spread([down(line.values[-1]) for line in drawn]), strict=True):
        parts.append(f'<text class="{line.style}" x="{RIGHT + 8}" y="{number(y + 4)}">{line.label}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def number(value: float) -> str:
    """A coordinate; what lies halfway between two tenths goes the same way on every machine."""
    return f"{value + 1e-6:.1f}".removesuffix(".0")


def spread(heights: list[float]) -> list[float]:
    """Heights as near as may be to those asked for, but far enough apart to be read."""
    order = sorted(range(len(heights)), key=lambda i: heights[i])
    placed = [heights[i] for i in order]
    for _ in range(100):
        for i in range(1, len(placed)):
            overlap = APART - (placed[i] - placed[i - 1])
            if overlap > 0:
                placed[i - 1], placed[i] = placed[i - 1] - overlap / 2, placed[i] + overlap / 2
    placed = [min(y, BOTTOM - APART * (len(placed) - 1 - i)) for i, y in enumerate(placed)]
    return [placed[order.index(i)] for i in range(len(heights))]
