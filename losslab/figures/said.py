"""A figure as plain values, which TOML, JSON, a link and a script hold, and back.

    {"figure": "ToyScatter", "losses": ["ArcFace(margin=0.3)"], "recipe": {"epochs": 20}, "runs": ["arcface-2d-0f3a"]}

Beside these names stand the figure's own knobs. What is not said is as the figure begins with. Views are figures too.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

from losslab import losses as family
from losslab import views
from losslab.catalogue import Knob, knobs
from losslab.data.faces import FaceSubset
from losslab.schedules import Schedule
from losslab.training import Recipe, Run
from losslab.training.recipe import FACES
from losslab.views import View

from . import base
from .base import PLANE, Figure
from .seen import Seen, first_losses, looks_at_runs

COMMON = ("losses", "recipe", "runs", "run")  # fields of figures and views that are no knobs of their own
LINKED = "recipe."  # before the names of a recipe in a link


def known() -> dict[str, type[Figure] | type[View]]:
    """Every figure and, after them, every view that no figure is named like, by name."""
    return base.catalogue() | {name: kind for name, kind in views.catalogue().items() if name not in base.catalogue()}


def kind(name: Any) -> type[Figure] | type[View]:
    """The class of the figure or the view called `name`; ValueError lists what there is."""
    if not isinstance(name, str) or name not in known():
        figures, seen = base.catalogue(), [each for each in known() if each not in base.catalogue()]
        raise ValueError(
            f"There is no figure called {name!r:.60}; there are the figures {', '.join(figures)}, "
            f"and the views {', '.join(seen)}."
        )
    return known()[name]


def kind_of(figure: Figure) -> type[Figure] | type[View]:
    """What it is a figure of: its class, or that of the view."""
    return figure.kind if isinstance(figure, Seen) else type(figure)


def own(kind: type[Figure] | type[View]) -> dict[str, dataclasses.Field]:
    """The fields of a figure or a view that are its own, by name."""
    return {field.name: field for field in dataclasses.fields(kind) if field.name not in COMMON}


def shared(kind: type[Figure] | type[View]) -> tuple[str, ...]:
    """What may be said of it besides its own fields: its losses, and a recipe or runs where it shows trainings."""
    if issubclass(kind, View):
        return ("losses", "recipe", "runs") if looks_at_runs(kind) else ("losses",)
    there = {field.name for field in dataclasses.fields(kind)}
    return tuple(name for name in COMMON if name in there)


def begins(kind: type[Figure] | type[View]) -> Recipe:
    """The recipe that what is said of one changes."""
    return getattr(kind, "recipe", None) or PLANE


# -- a figure in words -------------------------------------------------------------------------------------


def plain(figure: Figure, *, entire: bool = False) -> dict[str, Any]:
    """What differs from how the figure begins, or its `entire` values, in what JSON knows. `make` is its inverse."""
    of = kind_of(figure)
    kept = {name: field.default for name, field in own(of).items()}
    if isinstance(figure, Seen):
        default, values = first_losses(of), dict(figure.values)
    else:
        default, values = of.losses, {name: getattr(figure, name) for name in kept}
    said: dict[str, Any] = {"figure": of.__name__}
    runs, recipe = getattr(figure, "runs", ()), getattr(figure, "recipe", None)
    if runs:
        said["runs"] = [run.path.name for run in runs]
        default = tuple(run.recipe.loss for run in runs)  # a view may show another over a run
    if figure.losses != default or (entire and not runs):
        said["losses"] = [family.written(loss) for loss in figure.losses]
    if recipe and not runs:
        changes = whole(recipe) if entire else differing(recipe, begins(of))
        if changes or isinstance(figure, Seen):  # a view is one of a training only where a recipe is said
            said["recipe"] = changes
    return said | {name: bare(value) for name, value in values.items() if entire or value != kept[name]}


def differing(recipe: Recipe, begin: Recipe) -> dict[str, Any]:
    """What `recipe` says otherwise than `begin`, but for the loss."""
    now, before = whole(recipe), whole(begin)
    return {name: value for name, value in now.items() if value != before.get(name)}


def whole(recipe: Recipe) -> dict[str, Any]:
    plain = {name: bare(getattr(recipe, name)) for name in knobs(recipe)}
    if recipe.faces is None:
        return plain
    del plain["classes"]  # which follow from the faces
    return plain | {"faces": dataclasses.asdict(recipe.faces)}


def bare(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [bare(each) for each in value]
    return str(value) if isinstance(value, Schedule) else value


def linked(said: dict[str, Any]) -> dict[str, list[str]]:
    """What is said as the texts of a link, by name: those of the recipe as "recipe.epochs", lists of words and of
    losses as several texts of one name. `unlinked` is its inverse."""
    link: dict[str, list[str]] = {}
    for name, value in said.items():
        if name == "recipe":
            inner = {f"{LINKED}{key}": texts for key, texts in linked(value).items()}
            link |= inner or {LINKED: [""]}
        elif isinstance(value, dict):
            link |= {f"{name}.{key}": texts for key, texts in linked(value).items()}
        elif name in ("losses", "runs"):
            link[name] = list(value)
        else:
            link[name] = [text(value)]
    return link


def text(value: Any) -> str:
    """`views.read_value` reads it, and a knob does."""
    if isinstance(value, list):
        nested = bool(value) and isinstance(value[0], list)
        return (" " if nested else ",").join(map(text, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def unlinked(link: dict[str, list[str]]) -> dict[str, Any]:
    """What a link says, every value as text."""
    said: dict[str, Any] = {}
    for name, texts in link.items():
        if name in ("losses", "runs"):
            said[name] = list(texts)
            continue
        inner, *parts = said, *name.split(".")
        for part in parts[:-1]:
            inner = inner.setdefault(part, {})
        if parts[-1]:
            inner[parts[-1]] = texts[0]
    return said


# -- and back ----------------------------------------------------------------------------------------------


def make(said: dict[str, Any], find: Callable[[str], Run]) -> Figure:
    """The figure that is said. Values may be text, as flags and links have them, or of their own type.

    Args:
        said: as `plain` makes it.
        find: gives the run of an id. RunError for what is none.

    ValueError with one sentence for a name or a value that is none.
    """
    of = kind(said.get("figure"))
    name, fields = said["figure"], own(of)
    if unknown := [each for each in said if each not in ("figure", *shared(of), *fields)]:
        if unknown[0] in COMMON:
            raise ValueError(f"{name} shows no training of a recipe: leave out {unknown[0]}.")
        raise ValueError(f"{name} has no {unknown[0]!r}; it has {', '.join([*fields, *shared(of)])}.")
    declared = knobs(of)
    values = {each: valued(fields[each], declared.get(each), said[each]) for each in fields if each in said}
    common: dict[str, Any] = {}
    if "losses" in said:
        common["losses"] = tuple(family.read(each) for each in words(said, "losses", "ArcFace(margin=0.3)"))
    if "recipe" in said:
        common["recipe"] = changed(begins(of), said["recipe"])
    if said.get("runs"):
        if clash := [
            each for each in ("losses", "recipe") if each in said and not (issubclass(of, View) and each == "losses")
        ]:
            raise ValueError(f"{name} looks at the runs that are given, which have their own: leave out {clash[0]}.")
        common["runs"] = tuple(find(each) for each in words(said, "runs", "arcface-2d-0f3a"))
    if issubclass(of, View):
        return Seen(view=name, values=tuple(values.items()), **common)
    return of(**values, **common)


def words(said: dict[str, Any], name: str, example: str) -> list[str]:
    value = said[name]
    if not isinstance(value, list | tuple) or not all(isinstance(each, str) for each in value):
        raise ValueError(f"{name} is {value!r:.60}, but it must be a list of words such as [{example!r}].")
    return list(value)


def changed(begin: Recipe, said: Any) -> Recipe:
    """The recipe with what is said of it. ValueError for a loss: that is the figure's to say."""
    if isinstance(said, dict) and (wrong := [name for name in ("loss", "later") if name in said]):
        raise ValueError(f"A figure's recipe has no {wrong[0]!r}: name its losses beside it, as losses.")
    if not isinstance(said, dict):
        raise ValueError(f"recipe is {said!r:.60}, but it must be names and values such as epochs = 20.")
    fields = {field.name: field for field in dataclasses.fields(Recipe)}
    before, theirs = begin.to_dict(), said.get("faces")
    if said.get("data", FACES) != FACES:
        before.pop("faces", None)
    now = {
        name: bare(valued(fields[name], declared, said[name]))
        for name, declared in knobs(Recipe).items()
        if name in said
    }
    if isinstance(theirs, dict):
        known = knobs(FaceSubset)
        now["faces"] = {
            name: known[name].parse(value) if isinstance(value, str) and name in known else value
            for name, value in theirs.items()
        }
    return Recipe.from_dict(before | said | now)


def valued(field: dataclasses.Field, declared: Knob | None, value: Any) -> Any:
    """What is said of a field, as its type."""
    if isinstance(field.default, tuple):
        return listed(field.name, field.default, value)
    if declared is not None and (isinstance(value, str) or not isinstance(field.default, str) or declared.choices):
        return declared.parse(value) if isinstance(value, str) else declared.check(value)
    if not isinstance(value, type(field.default)):
        raise ValueError(f"{field.name} is {value!r:.60}, but it must be such as {field.default!r}.")
    return value


def listed(name: str, default: tuple, value: Any) -> tuple:
    """A list, or the text of one, in the shape of the default."""
    if isinstance(value, str):
        if default and isinstance(default[0], str):
            value = value.split(",")
        else:
            value = views.read_value(default, name, value)
    if not isinstance(value, list | tuple):
        raise ValueError(f"{name} is {value!r:.60}, but it must be a list such as {example(default)}.")
    try:
        return tuple(alike(default[0] if default else 0.0, each) for each in value)
    except (TypeError, ValueError):
        raise ValueError(f"{name} is {value!r:.60}, but it must be a list such as {example(default)}.") from None


def example(default: tuple) -> str:
    return repr(bare(default) or [1, 2, 3])[:60]


def alike(default: Any, value: Any) -> Any:
    """`value` of the default's type. TypeError or ValueError where it is of another."""
    if isinstance(default, tuple):
        if not isinstance(value, list | tuple):
            raise TypeError
        return tuple(alike(default[0] if default else 0.0, each) for each in value)
    if isinstance(default, str) != isinstance(value, str) or isinstance(value, bool):
        raise TypeError
    if type(default) is int:
        if int(value) != value:
            raise ValueError
        return int(value)
    return type(default)(value)
