"""`python -m losslab verify`: a trained network on verification sets, on all processes that torchrun starts."""

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tqdm import tqdm

from losslab.asked_network import add_network, asked_network
from losslab.data import faces
from losslab.data_command import add_folder
from losslab.devices import own_device
from losslab.evaluation import FaceSet, PairSet, evaluate, read_ijb, table, write
from losslab.evaluation.evaluate import Progress
from losslab.evaluation.group import together
from losslab.evaluation.report import check_out
from losslab.group import joined, place

PATIENCE = 2 * 60 * 60  # seconds for the slowest process: it may have the larger images


def add_verify(commands: Any) -> None:
    """The subcommand with its flags."""
    parser = commands.add_parser(
        "verify",
        help="measure a trained network on verification sets",
        description="Measure a trained network on verification sets: ten-fold accuracy and true accept rates on .bin "
        "sets, true accept rates on IJB-B and IJB-C. Under torchrun the images are divided over all processes.",
    )
    add_network(parser)
    parser.add_argument(
        "sets",
        nargs="*",
        metavar="SET",
        help="a .bin file, a folder IJBB or IJBC (with meta and loose_crop in it), or the name of a set in the data "
        "folder (default: every .bin there)",
    )
    parser.add_argument("--no-flip", action="store_true", help="embed images alone, without their mirror images")
    templates = parser.add_argument_group("templates", "how the images of a template are weighed, of IJB-B and IJB-C")
    templates.add_argument(
        "--no-length", action="store_true", help="count every embedding alike, not by its length, which tells quality"
    )
    templates.add_argument(
        "--no-score", action="store_true", help="do not weigh images by the score that the face detector gave them"
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the numbers too: a .csv or .json file")
    add_folder(parser)
    parser.set_defaults(do=do_verify)


def asked_sets(arguments: argparse.Namespace) -> list[FaceSet]:
    """The sets that are named; without names all pairs in the data folder."""
    named = arguments.sets or list(faces.pair_sets(arguments.folder))
    if not named:
        raise ValueError("There is no .bin set in the data folder: name a file, or choose another --folder.")
    return [opened(name, arguments) for name in named]


def opened(name: str, arguments: argparse.Namespace) -> FaceSet:
    path = Path(name)
    if path.is_dir():
        return read_ijb(path, length=not arguments.no_length, score=not arguments.no_score)
    if path.suffix == ".bin":
        return PairSet(faces.read_pairs(path))
    return PairSet(faces.pair_set(name, arguments.folder), name)


def do_verify(arguments: argparse.Namespace) -> int:
    """Measure, show and write. What goes wrong is said once, by the first process."""
    device = own_device()
    with joined(device, PATIENCE) as group:
        first = place(group)[0] == 0
        try:
            with together(group):
                if arguments.out:
                    check_out(arguments.out)
                network, sets = asked_network(arguments), asked_sets(arguments)
                network.model.to(device)
            with progress(first) as tell:
                results = evaluate(
                    network.model, sets, device, group, form=network.form, flip=not arguments.no_flip, progress=tell
                )
            with together(group):
                if first:
                    print(table(results))
                    if arguments.out:
                        write(arguments.out, results, network.about())
                        print(f"The numbers are in {arguments.out}")
        except (ValueError, OSError) as error:
            if first:
                print(error, file=sys.stderr)
            return 1 if isinstance(error, ConnectionError) else 2
    return 0


@contextmanager
def progress(shown: bool) -> Iterator[Progress]:
    """A bar that begins anew with each set, of the images that this process embeds."""
    begun: set[str] = set()
    with tqdm(unit="image", disable=None if shown else True, dynamic_ncols=True) as bar:

        def tell(name: str, done: int, total: int) -> None:
            if name not in begun:
                begun.add(name)
                bar.reset(total)
                bar.set_description(name)
            bar.update(done - bar.n)

        yield tell
