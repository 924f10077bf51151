"""`python -m losslab figure`: the figures of a paper as files, each with its numbers and the sheet that makes it again.

Flags are made from the fields of the figure, so a figure or a view that is dropped in brings its own.
"""

import argparse
import dataclasses
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from losslab import losses
from losslab.catalogue import knobs
from losslab.data_command import add_folder
from losslab.figures import Figure, catalogue, said
from losslab.flags import FACE_KNOBS, as_flag, flag_name, kept_runs
from losslab.losses import Loss
from losslab.training import Recipe
from losslab.training.images import load, total_steps
from losslab.views import View

if TYPE_CHECKING:  # they draw with Matplotlib, which is asked for only when something is drawn
    from losslab.building import Built, Work
    from losslab.press import Look, Print

KINDS = ("pdf", "svg", "pgf", "png")
STYLES = ("colour", "grey")
# Flags of the command, whatever the figure.
LOOK = ("width", "style", "dpi", "camera", "raster")
OWN = (
    "list",
    "all",
    "sheet",
    "out",
    "width",
    "style",
    "dpi",
    "camera",
    "raster",
    "loss",
    "run",
    "runs",
    "folder",
    "help",
)


def add_figure(commands: Any, argv: list[str]) -> None:
    """The subcommand, with the flags of the figure that `argv` names."""
    parser = commands.add_parser(
        "figure",
        help="make a figure for a paper, or all of a sheet",
        description="Make a figure for a paper: a vector file, its numbers beside it as CSV, and a sheet (TOML) that "
        "makes it again. Runs that it needs are reused or trained. "
        "`figure NAME --help` shows the flags of that figure, `figure --list` what there is.",
    )
    parser.add_argument("figure", nargs="?", metavar="NAME", help=f"{', '.join(catalogue())}; or a view")
    what = parser.add_argument_group("what to do")
    what.add_argument("--list", action="store_true", help="list the figures and the views")
    what.add_argument("--all", action="store_true", help="make every figure, each at the width that it is made for")
    what.add_argument("--sheet", type=Path, metavar="FILE", help="make what is not up to date of a sheet of figures")
    what.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help=f"the file, which ends in one of {', '.join(KINDS)}; with --all a folder",
    )
    look = parser.add_argument_group("how it looks")
    look.add_argument("--width", help="a column by name, or millimetres (default: what the figure is made for)")
    look.add_argument("--style", metavar="|".join(STYLES), help="(default: colour)")
    look.add_argument("--dpi", type=int, help="dots per inch of a PNG (default: 300)")
    look.add_argument("--camera", help="nine numbers with commas: the rotation from which spheres are seen")
    look.add_argument(
        "--raster", action="store_true", default=None, help="samples as one picture in the file: for dense clouds"
    )
    shown = parser.add_argument_group("what is shown")
    shown.add_argument(
        "--loss",
        action="append",
        dest="losses",
        metavar="LOSS",
        help='as in --loss "ArcFace(margin=0.3)"; may be given several times. Knobs not named are its paper\'s',
    )
    where = parser.add_argument_group("where")
    where.add_argument(
        "--runs",
        type=Path,
        dest="kept",
        metavar="FOLDER",
        default=kept_runs(),
        help="where runs are kept and looked for (default: $LOSSLAB_RUNS, else runs)",
    )
    add_folder(where)
    words = argv[1:] if argv[:1] == ["figure"] else []
    named = next((said.known()[word] for word in words if word in said.known()), None)
    shared = said.shared(named) if named else ("recipe",) if "--all" in words else ()
    if "runs" in shared:
        shown.add_argument(
            "--run",
            action="append",
            dest="runs",
            metavar="RUN",
            help="a run to look at in place of training, by its folder or its name; may be given several times",
        )
    if "recipe" in shared:
        add_recipe(parser, said.begins(named) if named else None)
    if named:
        add_own(parser.add_argument_group(f"of {named.__name__}", named.card.replace("%", "%%")), named)
    parser.set_defaults(do=do_figure)


def add_recipe(parser: argparse.ArgumentParser, begins: Recipe | None) -> None:
    """Flags of the recipe; what is not given is as the figure has it."""
    recipe = parser.add_argument_group("how it is trained")
    for name, knob in knobs(Recipe).items():
        add_text(recipe, f"--{flag_name(name)}", f"recipe.{name}", as_flag(knob, getattr(begins or Recipe(), name)))
    faces = parser.add_argument_group("faces", "which are trained on, with --data faces")
    for name, knob in FACE_KNOBS.items():
        add_text(faces, f"--faces-{flag_name(name)}", f"recipe.faces.{name}", as_flag(knob, knob.default))


def add_own(group: Any, kind: type[Figure] | type[View]) -> None:
    for name in said.own(kind):
        declared = knobs(kind).get(name)
        look = as_flag(declared, declared.default) if declared else {"metavar": name.upper(), "help": "with commas"}
        add_text(group, flag(name, kind), f"own.{name}", look)


def add_text(group: Any, name: str, dest: str, look: dict[str, Any]) -> None:
    """A flag whose text is read with the rest of what is said of the figure."""
    switch = {"const": "true"} if "const" in look else {}
    group.add_argument(name, dest=dest, default=argparse.SUPPRESS, **look | switch)


def flag(name: str, kind: type[Figure] | type[View]) -> str:
    """The flag of a field of a figure; where the command or a recipe has one of that name, it says whose it is."""
    taken = {*OWN, *(knobs(Recipe) if "recipe" in said.shared(kind) else ())}
    whose = ("view-" if issubclass(kind, View) else "figure-") if name in taken else ""
    return f"--{whose}{flag_name(name)}"


# -- what is asked for -------------------------------------------------------------------------------------


def do_figure(arguments: argparse.Namespace) -> int:
    """List what there is, or make what is asked for."""
    asked = [name for name in ("figure", "all", "sheet") if getattr(arguments, name)]
    if arguments.list or not asked:
        listing()
        return 0
    if len(asked) > 1:
        raise ValueError("Name one figure, or give --all, or --sheet FILE: one of them at a time.")
    try:
        import losslab.press  # noqa: F401
    except ModuleNotFoundError as error:
        raise ValueError(
            f'Figures are drawn with {error.name}, which is not here: pip install "losslab[paper]".'
        ) from None
    if arguments.sheet:
        return do_sheet(arguments)
    return do_all(arguments) if arguments.all else do_one(arguments)


def listing() -> None:
    for name, kind in said.known().items():
        after = getattr(kind, "after", "")
        print(f"{name}\n    {kind.card}" + (f"\n    After: {after}" if after else ""))


def do_one(arguments: argparse.Namespace) -> int:
    from losslab import sheet
    from losslab.press import Print

    figure = made(arguments.figure, arguments)
    out = arguments.out or Path(f"{arguments.figure.lower()}.pdf")
    kind = out.suffix[1:].lower()
    if kind not in KINDS:
        raise ValueError(f"out is {str(out)!r}, but it must end in one of {', '.join('.' + each for each in KINDS)}.")
    if not sheet.NAME.fullmatch(out.stem):
        raise ValueError(f"out is {str(out)!r}, but the name of a figure is of letters, digits, - and _.")
    wanted = Print(name=out.stem, figure=figure, look=look(arguments, figure), kinds=(kind,), folder=out.parent)
    (outcome,) = worked([wanted], arguments)
    if isinstance(outcome.error, ValueError | OSError):
        raise outcome.error
    if outcome.error:
        print(outcome.reason, file=sys.stderr)
        return 1
    print(outcome.reason)
    drawn, numbers, again = map(wanted.file, (kind, "csv", "toml"))
    print(f"The figure is {drawn}, its numbers are {numbers}, and {again} makes it again.")
    return 0


def do_all(arguments: argparse.Namespace) -> int:
    from losslab.building import Built
    from losslab.press import Print

    prints, failed = [], []
    for name in catalogue():
        try:
            figure = made(name, arguments)
            prints.append(
                Print(name=name, figure=figure, look=look(arguments, figure), folder=arguments.out or Path("figures"))
            )
        except (ValueError, OSError) as error:
            failed.append(Built(name, "failed", str(error), error))
    return summed([*worked(prints, arguments, told), *failed])


def do_sheet(arguments: argparse.Namespace) -> int:
    from losslab import building, sheet

    if more := [name for name in ("out", *LOOK, "losses") if getattr(arguments, name) is not None]:
        raise ValueError(f"A sheet says this itself: leave out --{more[0].replace('losses', 'loss')}.")
    prints = sheet.read(arguments.sheet, sheet.found_in(arguments.kept))
    old = []
    for each in prints:
        if building.fresh(each):
            print(f"{each.name}: up to date")
        else:
            old.append(each)
    return summed(worked(old, arguments, told))


def made(name: str, arguments: argparse.Namespace) -> Figure:
    """The figure of this name with everything that flags say of it."""
    from losslab.sheet import found_in

    link = {"figure": [name]}
    for dest, text in vars(arguments).items():
        if dest.startswith(("recipe.", "own.")):
            link[dest.removeprefix("own.")] = [str(text)]
    if "recipe" not in said.shared(said.kind(name)):
        link = {dest: texts for dest, texts in link.items() if not dest.startswith("recipe.")}  # of --all
    for dest in ("losses", "runs"):
        if texts := getattr(arguments, dest, None):
            link[dest] = texts
    return said.make(said.unlinked(link), found_in(arguments.kept))


def look(arguments: argparse.Namespace, figure: Figure) -> "Look":
    from losslab.press import Look
    from losslab.views import read_value

    given = {name: value for name in LOOK if (value := getattr(arguments, name)) is not None}
    if "camera" in given:
        given["camera"] = read_value((0.0,), "camera", given["camera"])
    return Look(**({"width": figure.width} | given))


# -- doing it ----------------------------------------------------------------------------------------------


def worked(
    prints: "list[Print]", arguments: argparse.Namespace, done: "Callable[[Built], None]" = lambda built: None
) -> "list[Built]":
    """What became of each print. Says how many runs were there, and shows how far those are that were not."""
    from losslab.building import Work, build

    work = Work([each.figure for each in prints], arguments.kept, arguments.folder)
    if work.runs or work.missing:
        print(f"Runs: {len(work.runs)} reused, {len(work.missing)} to train.", file=sys.stderr)
    try:
        with progress(work) as tell:
            return build(prints, work, tell, done)
    except KeyboardInterrupt:
        print("Stopped; runs that were finished are reused the next time.", file=sys.stderr)
        raise


@contextmanager
def progress(work: "Work") -> Iterator[Callable[[Loss, int, int], None]]:
    """A bar over the steps of all runs that are to be trained, with the loss that is."""
    with tqdm(total=steps(work), unit="step", disable=None if work.missing else True, dynamic_ncols=True) as bar:
        before = 0

        def tell(loss: Loss, step: int, total: int) -> None:
            nonlocal before
            bar.set_description(losses.written(loss))
            bar.update(step - before if step else 0)  # with step 0 another begins
            before = step

        yield tell


def steps(work: "Work") -> int:
    """Of all trainings that are to be made; of one whose images cannot be read, which will say so itself, none."""
    total, lengths = 0, {}
    for recipe in work.missing.values():
        if (alike := dataclasses.replace(recipe, loss=Recipe.loss)) not in lengths:
            with suppress(ValueError, OSError):
                lengths[alike] = total_steps(recipe, load(recipe, work.data)[0])
        total += lengths.get(alike, 0)
    return total


def told(outcome: "Built") -> None:
    """Say above the bar what was built."""
    if outcome.state != "failed":
        tqdm.write(f"{outcome.name}: {outcome.state}")


def summed(outcomes: "list[Built]") -> int:
    """Say at the end what could not be made; the exit code."""
    failed = [each for each in outcomes if each.state == "failed"]
    for each in failed:
        print(f"{each.name}: {each.reason}", file=sys.stderr)
    if failed:
        print(f"{len(failed)} of {len(outcomes)} could not be made.", file=sys.stderr)
    return 1 if failed else 0
