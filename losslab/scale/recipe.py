"""ScaleRecipe: everything that decides a training at full scale, as one frozen value that a TOML file says.

How a training is run is no part of it: on how many processes, on which device, with how many workers, how often it is
saved. The numbers of a training do not follow from that, but for the order in which processes sum.
"""

import dataclasses
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from losslab import losses, models
from losslab.catalogue import check_knobs, knob, knobs
from losslab.losses import ArcFace, Loss, PairLoss
from losslab.schedules import Schedule

FOLDER = Path(__file__).parent / "recipes"  # those that come with losslab
STATED = ("faces", "augmentation", "schedule", "accuracy", "loss", "note")  # what a recipe says in words


@dataclass(frozen=True, kw_only=True)
class ScaleRecipe:
    """Which loss, on which faces, with which network, trained how. A value out of its range raises ValueError.

    `stated` says in words what stands behind the numbers, by the names of STATED; it decides nothing, so recipes that
    differ only there are equal.
    """

    title: str = field(default="", compare=False)
    loss: Loss = ArcFace()
    source: str = knob("", help="The faces, by name; python -m losslab data lists them.")
    classes: int = knob(0, 0, help="Identities that the faces must have; 0 takes what is there.")
    images: int = knob(0, 0, help="Images that they are known to have, for what is said before; 0 where nobody knows.")
    size: int = knob(112, 32, 112, step=16, unit="px", help="Side of the square that every image is made.")
    colour: str = knob("rgb", choices=("rgb", "bgr", "grey"), help="Order of the channels that the network sees.")
    mirrored: float = knob(0.5, 0, 1, help="Share of the images that are seen in a mirror, drawn anew in each epoch.")
    model: str = knob("iresnet50", choices=tuple(models.catalogue()), help="The network that makes embeddings.")
    dim: int = knob(512, 2, 512, help="Length of an embedding.")
    epochs: int = knob(32, 1, 1000, help="How often training sees every image.")
    batch: int = knob(512, 2, 1 << 20, help="Images in a step, of all processes together.")
    grouped: int = knob(1, 1, 1024, help="Images of one identity that a step takes together; losses of pairs need 2.")
    parts: int = knob(1, 1, 4096, help="Parts in which a step's images go through the network, to save memory.")
    optimiser: str = knob("sgd", choices=("sgd", "adamw"), help="SGD has momentum.")
    rate: float = knob(0.1, 1e-8, help="Largest step size.")
    momentum: float = knob(0.9, 0, 0.9999, help="Of SGD; the first of the two of AdamW.")
    decay: float = knob(5e-4, 0, 1, help="Weight decay, of network and prototypes.")
    schedule: str = knob("step", choices=("step", "cosine", "polynomial"), help="How the step size falls.")
    drops: tuple[int, ...] = knob((), help="With step: the epochs after which it falls.")
    factor: float = knob(0.1, 1e-6, 1, help="With step: what it is multiplied by there.")
    power: float = knob(1.0, 0.1, 10, help="With polynomial: the power; 1 is a straight line to zero.")
    warm_up: float = knob(0.0, 0, 100, unit="epochs", help="How long the step size first rises, step by step.")
    clip: float = knob(0.0, 0, help="Longest gradient of a step; 0 does not clip.")
    clipped: str = knob(
        "all",
        choices=("all", "network"),
        help="What the length is of and what is shortened: all that is learned, or the network alone.",
    )
    precision: str = knob(
        "float32", choices=("float32", "bfloat16", "float16"), help="Of the network; the loss is always float32."
    )
    statistics: str = knob(
        "shared",
        choices=("shared", "own"),
        help="Batch normalisation over all processes, so that their number changes nothing, or in each by itself.",
    )
    average: float = knob(0.0, 0, 0.99999, help="Of the weights over the steps, the share kept in each; 0 keeps none.")
    tile: int = knob(0, 0, help="Classes at a time in the head; 0 takes as many as suit the device.")
    folded: bool = knob(False, help="Prototypes step in the backward pass, and their gradient is never held.")
    sample_rate: float = knob(1.0, 1e-4, 1, help="Share of the classes that are compared in a step; 1 is exact.")
    products: str = knob(
        "float32", choices=("float32", "bfloat16", "float16"), help="Of the cosines; what follows is float32."
    )
    seed: int = knob(0, 0, 999_999, help="Of everything random.")
    shown: int = knob(20, 2, 1000, help="Identities of which snapshots show embeddings and prototypes.")
    shown_images: int = knob(10, 1, 100, help="Images of each of them, at most.")
    stated: dict[str, str] = field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        if not isinstance(self.loss, Loss):
            raise ValueError(f"loss is {self.loss!r}, but it must be a loss, such as ArcFace(scale=64, margin=0.5).")
        check_knobs(self)
        for name in knobs(self):
            if isinstance(value := getattr(self, name), Schedule):
                raise ValueError(f"{name} is {value}, but only the knobs of a loss can follow a schedule.")
        if not isinstance(self.source, str):
            raise ValueError(f"source is {self.source!r}, but it must be the name of faces in the data folder.")
        if unknown := sorted(set(self.stated) - set(STATED)):
            raise ValueError(f"A recipe states {', '.join(STATED)}, and nothing about {unknown[0]!r}.")
        object.__setattr__(self, "drops", self._checked_drops())
        if self.warm_up >= self.epochs:
            raise ValueError(f"warm_up is {self.warm_up:g} epochs, but there are only {self.epochs}.")
        if self.folded and (why := self._not_foldable()):
            raise ValueError(f"folded is true, so prototypes step in the backward pass, but {why}.")
        if self.batch % self.parts:
            raise ValueError(f"batch is {self.batch}, which {self.parts} parts cannot share evenly: choose another.")
        if self.batch // self.parts % self.grouped:
            of = "A part of a step" if self.parts > 1 else "A step"
            raise ValueError(
                f"{of} has {self.batch // self.parts} images, which is no whole number of groups of {self.grouped}: "
                "choose another batch, or grouped."
            )
        if isinstance(self.loss, PairLoss) and (why := self._not_of_pairs()):
            raise ValueError(f"{type(self.loss).__name__} compares images with one another, but {why}.")

    def _not_foldable(self) -> str:
        """What would change their gradient after the backward pass."""
        return {
            self.optimiser != "sgd": "the optimiser is not sgd",
            self.precision == "float16": "precision float16 multiplies the loss: choose bfloat16 or float32",
            self.parts > 1: "a step has several parts: set parts to 1",
            self.clip > 0 and self.clipped == "all": "all gradients are clipped: set clip to 0, or clipped to network",
        }.get(True, "")

    def _not_of_pairs(self) -> str:
        """What is about prototypes that are learned, of which there are none, or leaves it without pairs."""
        for name in ("folded", "tile", "sample_rate", "products"):
            if getattr(self, name) != knobs(self)[name].default:
                return f"{name} is for prototypes that are learned: leave it out"
        if self.grouped < 2:
            return "a step hardly has two of a person: set grouped to 2 or more, such as 4"
        if self.batch // self.parts == self.grouped:
            of = "a part of a step" if self.parts > 1 else "a step"
            return f"all images of {of} are of one person: set a smaller grouped"
        return ""

    def _checked_drops(self) -> tuple[int, ...]:
        drops = tuple(self.drops) if isinstance(self.drops, tuple | list) else (None,)
        if any(type(each) is not int or not 0 < each for each in drops) or list(drops) != sorted(set(drops)):
            raise ValueError(f"drops is {self.drops!r}, but it must list epochs that rise, such as [20, 28].")
        return drops

    def to_dict(self) -> dict[str, Any]:
        """The recipe in what JSON and TOML know; `from_dict` is its inverse."""
        plain = {"title": self.title, "loss": losses.written(self.loss)}
        plain |= {name: getattr(self, name) for name in knobs(self)}
        return plain | {"drops": list(self.drops), "stated": dict(self.stated)}

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> "ScaleRecipe":
        """The recipe that `to_dict` wrote; what is left out takes its default. ValueError names what is wrong."""
        known = {each.name for each in dataclasses.fields(cls)}
        if unknown := sorted(set(plain) - known):
            raise ValueError(f"A recipe has no {unknown[0]!r}; it has {', '.join(sorted(known))}.")
        values = dict(plain)
        if isinstance(values.get("loss"), str):
            values["loss"] = losses.read(values["loss"])
        for name, kind in (("title", str), ("stated", dict)):
            if not isinstance(values.get(name, kind()), kind):
                raise ValueError(f"{name} is {values[name]!r}, but it must be {'text' if kind is str else 'a table'}.")
        return cls(**values)


def recipes() -> dict[str, Path]:
    """The recipes that come with losslab, by name."""
    return {path.stem: path for path in sorted(FOLDER.glob("*.toml"))}


def read(name: str | Path) -> ScaleRecipe:
    """The recipe of a TOML file, or the one of that name that comes with losslab. ValueError says what is wrong."""
    path = recipes().get(str(name), Path(name))
    try:
        return ScaleRecipe.from_dict(tomllib.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise ValueError(
            f"There is no recipe {str(name)!r}: name a TOML file, or one of {', '.join(recipes())}."
        ) from None
    except OSError as error:
        raise ValueError(f"The recipe {path} cannot be read ({error.strerror}): check the file.") from None
    except ValueError as error:  # of TOML, of text that is none, or of the recipe itself
        raise ValueError(f"The recipe {path} cannot be used: {str(error).rstrip('.')}.") from None


def changed(recipe: ScaleRecipe, words: list[str]) -> ScaleRecipe:
    """The recipe with some values said anew, each as "name=value" of a knob, or "loss=ArcFace(margin=0.4)"."""
    values: dict[str, Any] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if name == "loss" and equals:
            values["loss"] = losses.read(text)
        elif name in (known := knobs(recipe)) and equals:
            listed = isinstance(known[name].default, tuple)
            values[name] = numbers(name, text) if listed else known[name].parse(text)
        else:
            raise ValueError(f"{word!r} sets nothing: write name=value, with one of loss, {', '.join(known)}.")
    # What is stated is of the recipe before, which the title says; but of another loss the first value is another.
    title = ", but with ".join(filter(None, [recipe.title, ", ".join(words)]))
    stated = {name: said for name, said in recipe.stated.items() if name != "loss" or "loss" not in values}
    return dataclasses.replace(recipe, title=title, stated=stated, **values)


def numbers(name: str, text: str) -> tuple[int, ...]:
    try:
        return tuple(int(each) for each in text.split(",") if each)
    except ValueError:
        raise ValueError(f"{name} is {text!r}, but it must be such as 20,28.") from None


def difference(before: ScaleRecipe, now: ScaleRecipe) -> str:
    """What of a recipe is another: "rate was 0.1 and is 0.2"; nothing where they are equal."""
    for each in ("loss", *knobs(before)):
        if (was := getattr(before, each)) != (is_ := getattr(now, each)):
            was, is_ = (losses.written(value) if isinstance(value, Loss) else value for value in (was, is_))
            return f"{each} was {was} and is {is_}"
    return ""
