"""`python -m losslab figure`: any view as a figure for a paper, with its numbers beside it.

Flags are made from the fields of the view, so a view that is dropped in brings its own.
"""

import argparse
import dataclasses
from pathlib import Path
from typing import Any

from losslab import __version__, losses, views
from losslab.catalogue import knobs
from losslab.losses import Loss
from losslab.training import Run
from losslab.views import View

KINDS = ("pdf", "svg", "png")
STYLES = ("colour", "grey")
OWN = ("list", "out", "width", "style", "dpi", "camera", "loss")  # flags of the command, whatever the view


def add_figure(commands: Any, argv: list[str]) -> None:
    """The subcommand, with the flags of the view that `argv` names first."""
    parser = commands.add_parser(
        "figure",
        help="draw a view as a figure for a paper, its numbers beside it",
        description="Draw a view as a vector figure, and write its numbers beside it as CSV. "
        "`figure VIEW --help` shows the flags of that view, `figure --list` what views there are.",
    )
    parser.add_argument("view", nargs="?", metavar="VIEW", help=", ".join(views.catalogue()))
    parser.add_argument("--list", action="store_true", help="list the views and what is seen in them")
    parser.add_argument("--out", type=Path, metavar="FILE", help=f"the figure; its ending is one of {', '.join(KINDS)}")
    parser.add_argument("--width", default="ieee-1", help="a column by name, or millimetres (default: ieee-1)")
    parser.add_argument("--style", default="colour", metavar="|".join(STYLES), help="(default: colour)")
    parser.add_argument("--dpi", type=int, default=300, help="dots per inch of a PNG (default: 300)")
    parser.add_argument("--camera", help="nine numbers with commas: the rotation from which a sphere is seen")
    parser.add_argument(
        "--loss",
        action="append",
        dest="losses",
        type=spoken(losses.read),
        default=[],
        metavar="LOSS",
        help='as in --loss "ArcFace(margin=0.3)"; may be given several times. Knobs not named are its paper\'s',
    )
    own = parser.add_argument_group("of the view")
    named = argv[1] if argv[:1] == ["figure"] and len(argv) > 1 else ""
    for name, field in asked(views.catalogue().get(named)).items():
        declared = knobs(views.catalogue()[named]).get(name)
        own.add_argument(
            flag(name),
            dest=f"view_{name}",
            type=spoken(reader(name, field, declared)),
            default=argparse.SUPPRESS,
            metavar="FOLDER" if name == "run" else name.upper(),
            help=(declared.help if declared else "of a run" if name == "run" else "numbers with commas").replace(
                "%", "%%"
            ),
        )
    parser.set_defaults(do=do_figure)


def flag(name: str) -> str:
    """The flag of a view's field; where the command has one of that name, it says that it is the view's."""
    return f"--{'view-' if name in OWN else ''}{name.replace('_', '-')}"


def asked(kind: type[View] | None) -> dict[str, dataclasses.Field]:
    """The fields of a view that a flag may set."""
    return {field.name: field for field in dataclasses.fields(kind) if field.name != "losses"} if kind else {}


def reader(name: str, field: dataclasses.Field, declared: Any) -> Any:
    """What makes a value of this field from a flag's text."""
    if name == "run":
        return lambda text: Run(Path(text))
    if declared is not None:
        return declared.parse
    return lambda text: views.read_value(field.default, name, text)


def spoken(read: Any) -> Any:
    """argparse wants its own kind of error to say more than "invalid"."""

    def said(text: str) -> Any:
        try:
            return read(text)
        except (ValueError, OSError) as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return said


def do_figure(arguments: argparse.Namespace) -> int:
    """Write the figure and its numbers."""
    if arguments.list or arguments.view is None:
        for name, kind in views.catalogue().items():
            print(f"{name}\n    {kind.card}")
        return 0
    out = arguments.out or Path(f"{arguments.view.lower()}.pdf")
    kind = out.suffix[1:].lower()
    if kind not in KINDS:
        raise ValueError(f"out is {str(out)!r}, but it must end in one of {', '.join('.' + each for each in KINDS)}.")
    try:
        from losslab.render import paper
    except ModuleNotFoundError:
        raise ValueError(
            'Figures are drawn with Matplotlib, which is not here: pip install "losslab[paper]".'
        ) from None
    values = {name[5:]: value for name, value in vars(arguments).items() if name.startswith("view_")}
    view = views.view(arguments.view, chosen(arguments, values), values)
    scene = view.scene()
    drawn = paper.draw(
        scene, kind, arguments.width, arguments.style, arguments.dpi, described(view), camera(arguments.camera)
    )
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_bytes(drawn)
        out.with_suffix(".csv").write_text(scene.table(), encoding="utf-8")
    except OSError as error:
        raise ValueError(f"{out} cannot be written: {error.strerror}.") from None
    print(f"{scene.title}: {scene.says}")
    print(f"The figure is {out}, its numbers are {out.with_suffix('.csv')}.")
    return 0


def chosen(arguments: argparse.Namespace, values: dict[str, Any]) -> tuple[Loss, ...]:
    """The losses that were named; else that of the run, or those that the view begins with."""
    if arguments.losses or arguments.view not in views.catalogue():
        return tuple(arguments.losses)
    return (values["run"].recipe.loss,) if "run" in values else views.catalogue()[arguments.view].losses


def camera(text: str | None) -> list[float] | None:
    return None if text is None else list(views.read_value((0.0,), "camera", text))


def described(view: View) -> dict[str, str]:
    """What a figure was made of, for its metadata: losses, what is not as the view begins with, and the version."""
    differ = [
        f"{name}={view.run.path.name if name == 'run' else views.written_value(value)}"
        for name, field in asked(type(view)).items()
        if (value := getattr(view, name)) != field.default
    ]
    said = {"losses": ", ".join(map(losses.written, view.losses)), "values": " ".join([type(view).__name__, *differ])}
    return said | {"version": f"losslab {__version__}"}
