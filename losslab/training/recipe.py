"""Recipe: everything that decides a run, as one frozen value. Equal recipes give equal runs."""

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from typing import Any

from losslab import data, losses, models
from losslab.catalogue import check_knobs, knob, knobs
from losslab.data.faces.subset import FaceSubset
from losslab.losses import ArcFace, Loss
from losslab.schedules import Schedule

CHANGES = 32  # of the loss, at most
PEOPLE = 65_535  # that are trained on, at most: a frame counts classes in 16 bits
FACES = "faces"  # as a data set: those of `Recipe.faces`
ADDED = (
    "faces",
    "imbalance",
    "noise",
    "later",
)  # not written at their defaults: recipes of before them keep their keys


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Which loss, on which images, with which network, trained how. A value out of its range raises ValueError.

    `later` lists (step, loss): the first `step` steps are made with what came before, those after it with `loss`.
    With `faces` the classes are the identities that are trained on, and `data` is "faces".
    """

    loss: Loss = losses.starting(ArcFace)
    later: tuple[tuple[int, Loss], ...] = ()
    data: str = knob("mnist", choices=(*data.catalogue(), FACES), help="The data set.")
    faces: FaceSubset | None = None
    classes: tuple[int, ...] = knob(tuple(range(10)), help="Which of its classes, in the order of their labels here.")
    per_class: int = knob(0, 0, step=100, help="Training images of each class; 0 takes all.")
    imbalance: float = knob(
        1.0, 1, 100, step=1,
        help="How many times more training images the first class keeps than the last; between them the numbers fall "
        "by the same factor from class to class.",
    )  # fmt: skip
    noise: float = knob(
        0.0, 0, 0.8, step=0.05, help="Share of the training images that wear the label of another class, at random."
    )
    model: str = knob("tiny", choices=tuple(models.catalogue()), help="The network that makes embeddings.")
    dim: int = knob(3, 2, 512, step=1, help="Length of an embedding: 2 is a circle, 3 a sphere.")
    epochs: int = knob(10, 1, 1000, step=1, help="How often training sees every image.")
    batch: int = knob(128, 2, 4096, step=16, help="Images in a step.")
    rate: float = knob(0.01, 1e-6, help="Largest step size; it warms up to this and then falls to zero.")
    shift: int = knob(1, 0, 4, step=1, unit="px", help="Training images move by up to this, at random.")
    seed: int = knob(0, 0, 999_999, step=1, help="Of everything random; the same seed gives the same run.")
    precision: str = knob(
        "float32",
        choices=("float32", "bfloat16", "float16"),
        help="Of the network; the loss is always float32.",
    )
    probe: int = knob(1000, 2, 10_000, step=100, help="Images shown in every snapshot, half of them held out.")

    def __post_init__(self) -> None:
        if not isinstance(self.loss, Loss):
            raise ValueError(f"loss is {self.loss!r}, but it must be a loss such as ArcFace(scale=16, margin=0.3).")
        check_knobs(self)
        for name in knobs(self):
            if isinstance(value := getattr(self, name), Schedule):
                raise ValueError(f"{name} is {value}, but only the knobs of a loss can follow a schedule.")
        if (self.data == FACES) != isinstance(self.faces, FaceSubset):
            raise ValueError(
                f'data is {self.data!r} and faces is {self.faces!r}, but faces are chosen with data "faces" and '
                "faces=FaceSubset(source=...), and other data without."
            )
        object.__setattr__(self, "classes", self._checked_classes())
        object.__setattr__(self, "later", self._checked_later())

    def _checked_classes(self) -> tuple[int, ...]:
        if self.faces is not None:
            if self.faces.identities > PEOPLE:
                raise ValueError(
                    f"identities is {self.faces.identities}, but a recipe trains on at most {PEOPLE} people; "
                    "python -m losslab scale takes more."
                )
            return tuple(range(self.faces.identities))
        names = data.catalogue()[self.data].names
        whole = isinstance(self.classes, tuple | list) and all(type(each) is int for each in self.classes)
        if not whole or any(not 0 <= each < len(names) for each in self.classes):
            raise ValueError(
                f"classes is {self.classes!r}, but it must list class numbers from 0 to {len(names) - 1}, "
                "such as (0, 1, 2)."
            )
        if len(set(self.classes)) < max(2, len(self.classes)):
            raise ValueError(f"classes is {self.classes!r}, but it must name at least two classes, each once.")
        return tuple(self.classes)

    def _checked_later(self) -> tuple[tuple[int, Loss], ...]:
        such = "it must list steps and losses, such as ((200, CosFace(margin=0.3)),)."
        if not isinstance(self.later, tuple | list):
            raise ValueError(f"later is {self.later!r}, but {such}")
        for each in self.later:
            if not (isinstance(each, tuple | list) and len(each) == 2 and isinstance(each[1], Loss)):
                raise ValueError(f"later has {each!r} in it, but {such}")
        steps = [step for step, _ in self.later]
        if any(type(step) is not int or step < 1 for step in steps) or steps != sorted(set(steps)):
            raise ValueError(f"The steps of later are {steps}, but they must be whole numbers from 1 on that rise.")
        if len(steps) > CHANGES:
            raise ValueError(f"A recipe holds at most {CHANGES} changes of its loss; this one would have {len(steps)}.")
        return tuple((step, loss) for step, loss in self.later)

    def loss_at(self, step: int) -> Loss:
        """The loss that makes training step `step` (the first is 1), so that of a snapshot at that step."""
        return [self.loss, *(loss for begins, loss in self.later if begins < step)][-1]

    def to_dict(self) -> dict[str, Any]:
        """The recipe in what JSON knows; `Recipe.from_dict` is its inverse."""
        plain = {"loss": named(self.loss), **{name: getattr(self, name) for name in knobs(self)}}
        plain |= {"classes": list(self.classes), "later": [[step, named(loss)] for step, loss in self.later]}
        if self.faces is not None:
            plain["faces"] = dataclasses.asdict(self.faces)
            del plain["classes"]  # which follow from it
        left_out = {name for name in ADDED if getattr(self, name) == getattr(Recipe, name)}
        return {name: value for name, value in plain.items() if name not in left_out}

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> "Recipe":
        """The recipe that `to_dict` wrote; what is left out takes its default. ValueError names what is wrong."""
        values = dict(fields(plain, "A recipe", {field.name for field in dataclasses.fields(cls)}))
        if "loss" in values:
            values["loss"] = made(values["loss"])
        if values.get("faces") is not None:
            values["faces"] = FaceSubset(**fields(values["faces"], "The faces of a recipe", set(knobs(FaceSubset))))
        if isinstance(values.get("later"), list):
            pairs = [each if isinstance(each, list) and len(each) == 2 else [each, None] for each in values["later"]]
            values["later"] = tuple((step, made(loss)) for step, loss in pairs)
        return cls(**values)

    @property
    def key(self) -> str:
        """The same for equal recipes, another for any other: a digest in hex."""
        text = json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


def named(loss: Loss) -> dict[str, Any]:
    """A loss in what JSON knows."""
    return {"name": type(loss).__name__, "knobs": losses.plain(losses.settings(loss))}


def made(plain: Any) -> Loss:
    """The loss that `named` wrote."""
    loss = fields(plain, "The loss of a recipe", {"name", "knobs"})
    return losses.make(str(loss.get("name")), **fields(loss.get("knobs", {}), "The knobs of a loss", None))


def fields(plain: Any, what: str, known: set[str] | None) -> dict[str, Any]:
    """`plain` if it is a dictionary of known names; ValueError otherwise."""
    if not isinstance(plain, dict):
        raise ValueError(f"{what} is a set of names and values; this is {plain!r}.")
    if known is not None and (unknown := sorted(set(plain) - known, key=str)):
        raise ValueError(f"{what} has no {unknown[0]!r}; it has {', '.join(sorted(known))}.")
    return plain
