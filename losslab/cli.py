"""The command line: `python -m losslab train`, and `python -m losslab data` of data_command.py.

Flags are made from knobs, so a loss that is dropped in brings its own. Whatever is asked for wrongly is answered with
one sentence and exit code 2.
"""

import argparse
import os
import re
import secrets
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from tqdm import tqdm

from losslab import losses
from losslab.catalogue import Knob, knobs
from losslab.data.faces import FaceSubset
from losslab.data_command import add_data, add_folder
from losslab.export_command import add_export
from losslab.figure_command import add_figure
from losslab.flags import FACE_KNOBS, as_flag, flag_name, kept_runs
from losslab.losses import Loss
from losslab.scale_command import add_scale
from losslab.training import Diverged, Recipe, RunError, RunWriter, Snapshot, probe, record, train
from losslab.training.recipe import FACES
from losslab.verify_command import add_verify

# Flags about what is trained; the others are about how.
WHAT = ("data", "classes", "per_class", "imbalance", "noise", "model", "dim")
PRESETS = ("small", "paper")  # where knobs begin


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the command line asks; the exit code (2: asked for wrongly, 1: training failed)."""
    try:
        arguments = parsed(sys.argv[1:] if argv is None else list(argv))
        code = arguments.do(arguments)
        if sys.stdout is not None:
            sys.stdout.flush()
        return code
    except (ValueError, RunError) as error:
        print(error, file=sys.stderr)
        return 2
    except BrokenPipeError:  # `| head`: the reader has seen enough. What Python flushes at its end goes nowhere.
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 130


class Parser(argparse.ArgumentParser):
    """An argparse parser that answers a mistake with one sentence."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, allow_abbrev=False, **options)

    def error(self, message: str) -> NoReturn:
        if message.endswith("."):  # A sentence of ours: it needs no "argument --margin:" before it.
            message = message.split(": ", 1)[-1]
        else:
            message = f"{message[0].upper()}{message[1:]}; --help says what there is."
        print(message, file=sys.stderr)
        sys.exit(2)


def parsed(argv: list[str]) -> argparse.Namespace:
    """What `argv` asks for."""
    parser = Parser(prog="losslab", description="See what a face-recognition loss does to the sphere.")
    commands = parser.add_subparsers(required=True, metavar="train | scale | verify | export | data | figure")
    training = commands.add_parser(
        "train",
        help="train a small network and record how its embeddings move",
        description="Train a small network with a loss and record how its embeddings move. "
        "`--loss NAME --help` shows the knobs of that loss.",
    )
    add_training(training, asked_loss(argv if argv[:1] == ["train"] else []))
    add_data(commands.add_parser("data", help="list data sets and faces, download, check, sample or convert them"))
    add_figure(commands, argv)
    add_scale(commands)
    add_verify(commands)
    add_export(commands)
    arguments, unknown = parser.parse_known_args(argv)
    if unknown:
        raise ValueError(strange(unknown[0], getattr(arguments, "kind", None)))
    return arguments


def asked_loss(argv: list[str]) -> Loss:
    """The loss that `argv` names, with the knobs it begins with: which other flags there are depends on it."""
    first = Parser(add_help=False)
    first.add_argument("--loss", default=type(Recipe().loss).__name__)
    first.add_argument("--base")
    first.add_argument("--defaults", type=preset, default="small")
    asked = first.parse_known_args(argv)[0]
    base = None if asked.base is None else losses.kind(asked.base).__name__
    return losses.starting(asked.loss, base, small=asked.defaults == "small")


def preset(text: str) -> str:
    if text not in PRESETS:
        raise argparse.ArgumentTypeError(f"defaults is {text!r}, but it must be one of {', '.join(PRESETS)}.")
    return text


def strange(flag: str, loss: Loss | None) -> str:
    """What to say of a flag that does not belong here."""
    name = flag.lstrip("-").split("=")[0].replace("-", "_")
    owners = [each for each, kind in losses.catalogue().items() if name in losses.knobs(kind())]
    if loss and owners:
        has = ", ".join(f"--{flag_name(knob)}" for knob in losses.knobs(loss)) or "none"
        others = ", ".join(owners[:6]) + (" and others" if len(owners) > 6 else "")
        return f"{type(loss).__name__} has no knob called {name!r} ({others} have); its own are: {has}."
    return f"There is no {flag!r} here; --help says what there is."


# -- train -----------------------------------------------------------------------------------------------


def add_training(parser: Parser, loss: Loss) -> None:
    """Flags from the knobs of a recipe and of its loss."""
    default, kind = Recipe(), type(loss)
    what = parser.add_argument_group("what to train")
    rebuilt = [name for name, each in losses.catalogue().items() if each.card.reconstruction]
    what.add_argument(
        "--loss",
        metavar="NAME",
        help=f"{', '.join(losses.catalogue())}; of these {' and '.join(rebuilt)} are reconstructions of papers "
        f"whose formulas were not to be had (default: {type(default.loss).__name__})",
    )
    what.add_argument(
        "--defaults",
        metavar="|".join(PRESETS),
        help=f"knobs to begin with. small: for a few classes in 2 or 3 dimensions. {losses.SMALL_SOURCE} "
        "paper: for thousands in 512. "
        f"Source of the latter: {kind.card.source} (default: small)".replace("%", "%%"),
    )
    own, start = parser.add_argument_group(f"knobs of {losses.title(loss)}"), losses.settings(loss)
    for name, knob in losses.knobs(loss).items():
        add_flag(own, knob, start[name])
    how = parser.add_argument_group("how to train")
    for name, knob in knobs(Recipe).items():
        add_flag(what if name in WHAT else how, knob, getattr(default, name))
    whose = parser.add_argument_group("faces", f"which are trained on, with --data {FACES}")
    for knob in FACE_KNOBS.values():
        add_flag(whose, knob, knob.default)
    parser.set_defaults(**dict.fromkeys(FACE_KNOBS))  # so that it can be told which were given
    how.add_argument(
        "--later",
        action="append",
        type=later,
        default=[],
        metavar='"STEP LOSS"',
        help='From a step on, another loss, as in --later "200 CosFace(margin=0.3)"; knobs that it does not name are '
        "its paper's. May be given several times, steps rising.",
    )
    where = parser.add_argument_group("where")
    where.add_argument(
        "--out",
        type=Path,
        metavar="FOLDER",
        default=kept_runs(),
        help="where runs are kept (default: $LOSSLAB_RUNS, else runs)",
    )
    add_folder(where)
    parser.set_defaults(do=do_train, kind=loss)


def add_flag(group: Any, knob: Knob, default: Any) -> None:
    group.add_argument(
        f"--{flag_name(knob.name)}", type=lambda text: value(knob, text), default=default, **as_flag(knob, default)
    )


def value(knob: Knob, text: str) -> Any:
    """A flag's text as its knob's value; argparse wants its own kind of error to say more than "invalid"."""
    try:
        return tuple(int(part) for part in text.split(",")) if isinstance(knob.default, tuple) else knob.parse(text)
    except ValueError as error:
        sentence = str(error) if str(error).endswith(".") else f"{knob.name} is {text!r}, but it must be such as 0,1,2."
        raise argparse.ArgumentTypeError(sentence) from None


def later(text: str) -> tuple[int, Loss]:
    """What `--later` says: after which step, and with which loss training goes on."""
    said = re.fullmatch(r"\s*(\d{1,9})\s+(.+)", text, re.DOTALL)
    try:
        if not said:
            raise ValueError(f'later is {text[:80]!r}, but it must be such as "200 CosFace(margin=0.3)".')
        return int(said[1]), losses.read(said[2])
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def do_train(arguments: argparse.Namespace) -> int:
    """Train, keeping every snapshot whatever happens."""
    chosen = vars(arguments)
    loss = losses.turned(arguments.kind, {name: chosen[name] for name in losses.knobs(arguments.kind)})
    plain = {name: chosen[name] for name in knobs(Recipe)}
    recipe = Recipe(loss=loss, later=tuple(arguments.later), faces=faces_of(chosen), **plain)
    id = f"{type(loss).__name__.lower()}-{recipe.dim}d-{secrets.token_hex(4)}"
    path = arguments.out / id
    shown = probe(recipe, arguments.folder)
    with RunWriter(path, recipe, shown, owner="command line") as writer:
        code = follow(recipe, writer, shown.total_steps, arguments.folder)
    print(f"The run is in {path}")
    print(f"In the app that shows the runs of {arguments.out}, its link ends in ?run={id}")
    return code


def faces_of(chosen: dict[str, Any]) -> FaceSubset | None:
    """The faces that flags choose, None for other data. ValueError for flags of faces without faces, or no source."""
    given = {name: chosen[name] for name in FACE_KNOBS if chosen[name] is not None}
    if chosen["data"] != FACES:
        if given:
            raise ValueError(f"--{flag_name(next(iter(given)))} is about faces: add --data {FACES}, or leave it out.")
        return None
    if not given.get("source"):
        raise ValueError(f"--data {FACES} needs --source NAME: python -m losslab data lists the faces that are here.")
    return FaceSubset(**given, seed=chosen["seed"])


def follow(recipe: Recipe, writer: RunWriter, total_steps: int, folder: Path | None) -> int:
    """Train into `writer` with a progress bar; the exit code."""
    accuracy: dict[str, float] = {}
    try:
        with tqdm(total=total_steps, unit="step", disable=None, dynamic_ncols=True) as bar:

            def tell(snapshot: Snapshot) -> None:
                accuracy.update({k: v for k, v in snapshot.scalars.items() if k == "test_accuracy"})
                bar.set_postfix(loss=f"{snapshot.scalars['loss']:.3f}", **{k: f"{v:.1%}" for k, v in accuracy.items()})
                bar.update(snapshot.step - bar.n)

            record(train(recipe, folder=folder), writer, tell)
    except KeyboardInterrupt:
        print("Stopped; the run so far is kept.", file=sys.stderr)
        return 130
    except (Diverged, RunError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"Test accuracy {accuracy['test_accuracy']:.2%} after {total_steps} steps.")
    return 0
