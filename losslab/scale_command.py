"""`python -m losslab scale`: training at full scale, alone or under `torchrun`."""

import argparse
import os
import secrets
import sys
from pathlib import Path
from typing import Any

from losslab import scale
from losslab.data_command import add_folder
from losslab.flags import kept_runs

DONE, FAILED, WRONG, STOPPED = 0, 1, 2, 143  # the last is what a program that ends by SIGTERM is expected to say


def add_scale(commands: Any) -> None:
    command = commands.add_parser(
        "scale",
        help="train at full scale: one GPU or many, classes divided over them",
        description="Train at full scale. Under torchrun every process calls this alike: "
        "torchrun --nproc-per-node 8 -m losslab scale casia-r50-arcface --out runs/arcface. "
        f"Exit codes: {DONE} finished, {STOPPED} stopped by a signal and saved, {FAILED} failed, {WRONG} asked "
        "for wrongly.",
    )
    command.add_argument(
        "recipe",
        nargs="?",
        help=f"a TOML file, or one of {', '.join(scale.recipes())}; with --resume that of the run",
    )
    command.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help='another value than the recipe\'s, as in --set batch=256 or --set "loss=CosFace(margin=0.4)"',
    )
    command.add_argument("--faces", metavar="NAME", help="the faces to train on, instead of the recipe's")
    command.add_argument(
        "--out", type=Path, metavar="FOLDER", help=f"the directory of the run (default: a new one in {kept_runs()})"
    )
    command.add_argument(
        "--resume", action="store_true", help="go on with the run in --out; begin it where there is none"
    )
    command.add_argument("--device", help="such as cpu or cuda (default: the GPU if there is one)")
    command.add_argument(
        "--workers",
        type=whole("workers", 0),
        default=2,
        help="processes that decode, for each that trains (default: 2)",
    )
    command.add_argument(
        "--save-every", type=whole("save_every", 0), default=0, metavar="STEPS", help="0: after each epoch"
    )
    command.add_argument("--keep", type=whole("keep", 1), default=2, help="checkpoints that stay (default: 2)")
    command.add_argument("--log-every", type=whole("log_every", 1), default=20, metavar="STEPS", help="(default: 20)")
    command.add_argument(
        "--verify",
        action="append",
        default=[],
        metavar="SET",
        help="a .bin set of the data folder to verify on after each epoch; may be given several times",
    )
    command.add_argument("--tensorboard", action="store_true", help="write for TensorBoard too")
    command.add_argument(
        "--timeout", type=whole("timeout", 1), default=600, metavar="SECONDS",
        help="after which a process that does not answer is given up (default: 600)",
    )  # fmt: skip
    add_folder(command)
    command.set_defaults(do=do_scale)


def whole(name: str, least: int) -> Any:
    def number(text: str) -> int:
        if not text.isdigit() or int(text) < least:
            raise argparse.ArgumentTypeError(f"{name} is {text!r}, but it must be a whole number from {least} on.")
        return int(text)

    return number


def do_scale(arguments: argparse.Namespace) -> int:
    """Train; the exit code. One sentence in the first process says what went wrong."""
    first = os.environ.get("RANK", "0") == "0"
    try:
        if arguments.recipe is None and (arguments.set or arguments.faces):
            raise ValueError("--set and --faces change a recipe: name it.")
        if arguments.recipe is None and not arguments.resume:
            raise ValueError(f"Name a recipe: a TOML file, or one of {', '.join(scale.recipes())}.")
        if arguments.resume and arguments.out is None:
            raise ValueError("--resume goes on with a run: name its directory by --out.")
        recipe = None if arguments.recipe is None else scale.read(arguments.recipe)
        if recipe is not None:
            faces = [f"source={arguments.faces}"] if arguments.faces else []
            recipe = scale.changed(recipe, arguments.set + faces)
    except ValueError as error:
        if first:
            print(error, file=sys.stderr)
        return WRONG
    return trained(recipe, arguments, first)


def trained(recipe: scale.ScaleRecipe | None, arguments: argparse.Namespace, first: bool) -> int:
    # Only here: importing what trains takes seconds.
    from losslab.scale.processes import Refused, joined, lost, why
    from losslab.scale.training import How, Stopped, train
    from losslab.training.threads import few_threads

    how = How(
        workers=arguments.workers,
        save_every=arguments.save_every,
        keep=arguments.keep,
        log_every=arguments.log_every,
        board=arguments.tensorboard,
        verify=tuple(arguments.verify),
        timeout=float(arguments.timeout),
    )
    processes = None
    try:
        with joined(arguments.device, how.timeout) as processes, few_threads():
            run = arguments.out or kept_runs() / f"{Path(arguments.recipe).stem}-{secrets.token_hex(4)}"
            run = Path(processes.gathered(str(run))[0])
            train(recipe, run, processes, folder=arguments.folder, how=how, resume=arguments.resume)
            if first:
                print(f"The run is in {run}", flush=True)
            return DONE
    except Stopped as stopped:
        if first:
            print(stopped, file=sys.stderr, flush=True)
        return STOPPED
    except Exception as error:
        gone = processes is not None and lost(error)
        sentence = processes.cut_off() if gone else why(error, int(os.environ.get("RANK", "0")))
        if first:
            print(sentence, file=sys.stderr, flush=True)
        if gone:  # What waits for the lost process would wait on while Python cleans up.
            sys.stdout.flush()
            os._exit(FAILED)
        if sentence.startswith("Process "):
            raise  # A fault of ours: whoever mends it needs to see where.
        wrong = isinstance(error, Refused if processes else ValueError)  # the latter of a device that is not there
        return WRONG if wrong else FAILED
