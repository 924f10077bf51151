"""`python -m losslab data`: what data there is, and faces checked, shown and written in another format."""

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tqdm import tqdm

from losslab import data
from losslab.data import DataError, faces
from losslab.data.faces import fetched
from losslab.data.faces.check import check
from losslab.data.faces.convert import WRITERS, convert
from losslab.data.faces.sheet import contact_sheet

SHOWN = 20  # sentences about damage, before the rest is counted

Commands = Any
"""What `argparse` gives for adding subcommands; it has no public name."""


def add_data(parser: argparse.ArgumentParser) -> None:
    """The flags and subcommands of `data`."""
    add_folder(parser)
    parser.set_defaults(do=do_list)
    commands = parser.add_subparsers(metavar="get | check | sample | convert")
    get = add(commands, "get", do_get, "download a data set")
    get.add_argument("name", metavar="NAME", help=", ".join([*data.catalogue(), *fetched.CARDS]))
    asked = "the faces, by the name that `data` lists"
    add(commands, "check", do_check, "read every face: sizes, copies, what is damaged").add_argument(
        "name", metavar="NAME", help=asked
    )
    sample = add(commands, "sample", do_sample, "some faces of some people in one picture")
    sample.add_argument("name", metavar="NAME", help=asked)
    sample.add_argument("--out", type=Path, required=True, metavar="FILE", help="the picture, a PNG file")
    sample.add_argument("--seed", type=int, default=0, help="of the draw of people (default: 0)")
    written = add(commands, "convert", do_convert, "write faces in another format, images byte for byte the same")
    written.add_argument("name", metavar="NAME", help=asked)
    written.add_argument("--to", required=True, choices=tuple(WRITERS), metavar="|".join(WRITERS), help="the format")
    written.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="a folder that is not there yet")


def add(commands: Commands, name: str, do: Callable[[argparse.Namespace], int], help: str) -> argparse.ArgumentParser:
    """A subcommand that knows `--folder`; where `data --folder` has put it already, it stays."""
    made = commands.add_parser(name, help=help)
    made.add_argument("--folder", type=Path, default=argparse.SUPPRESS, help="where data sets lie")
    made.set_defaults(do=do)
    return made


def add_folder(group: Any) -> None:
    group.add_argument(
        "--folder",
        type=Path,
        help="where downloaded data sets and faces lie (default: $LOSSLAB_DATA, else ~/.cache/losslab)",
    )


def do_list(arguments: argparse.Namespace) -> int:
    """Every data set: its name, whether it is here, where it comes from and under which licence; then the faces."""
    for name, found in data.catalogue().items():
        here = "here" if found.available(arguments.folder) else f"not here yet: losslab data get {name}"
        sizes = ", ".join(f"{count:,} {split}" for split, count in found.sizes.items())
        print(f"{name}  ({here})\n    {found.title}: {len(found.names)} classes, {sizes}\n    {found.card}")
    there = faces.sources(arguments.folder)
    for name, source in there.items():
        try:
            with source.open() as opened:
                print(f"{name}  (faces, {source.kind})\n    {people(opened)}")
        except DataError as error:
            print(f"{name}  (faces, {source.kind})\n    {error}")
    for name, card in fetched.CARDS.items():
        if name not in there:
            print(f"{name}  (faces, not here yet: losslab data get {name})\n    {card}")
    return 0


def people(source: faces.FaceSource) -> str:
    return f"{len(source.names):,} people, {len(source):,} images"


def do_get(arguments: argparse.Namespace) -> int:
    """Download a data set with a progress bar."""
    known = [*data.catalogue(), *fetched.CARDS]
    if arguments.name not in known:
        raise DataError(f"There is no data set {arguments.name!r}; there are {', '.join(known)}.")
    if arguments.name in fetched.CARDS:  # scikit-learn does not tell how far it is
        print(fetched.fetch(arguments.name, arguments.folder))
        return 0
    with progress("B", unit_scale=True) as tell:
        said = data.catalogue()[arguments.name].download(arguments.folder, tell)
    print(said)
    return 0


def do_check(arguments: argparse.Namespace) -> int:
    """Read every image of a source; exit code 1 where something is damaged."""
    with faces.open_source(arguments.name, arguments.folder) as source, progress("image") as tell:
        report = check(source, tell)
    least, middle, most = report.per_identity
    sizes = ", ".join(f"{width} x {height} ({count:,})" for (width, height), count in list(report.sizes.items())[:6])
    print(f"{arguments.name}  ({source.kind})\n    {people(source)}")
    print(f"    images of one person: {least} to {most}, median {middle:g}")
    print(f"    width x height: {sizes or 'none'}{' and others' if len(report.sizes) > 6 else ''}")
    print(f"    copies: {sum(len(group) - 1 for group in report.copies)}")
    several([" = ".join(group) for group in report.copies])
    several(source.notes)
    print(f"    damaged: {len(report.damaged)}")
    several(report.damaged)
    return 1 if report.damaged else 0


def several(sentences: tuple[str, ...] | list[str]) -> None:
    for sentence in sentences[:SHOWN]:
        print(f"        {sentence}")
    if len(sentences) > SHOWN:
        print(f"        and {len(sentences) - SHOWN} more")


def do_sample(arguments: argparse.Namespace) -> int:
    """Write a contact sheet."""
    with faces.open_source(arguments.name, arguments.folder) as source:
        sheet = contact_sheet(source, seed=arguments.seed)
    try:
        arguments.out.write_bytes(sheet)
    except OSError as error:
        raise DataError(f"{arguments.out} cannot be written ({error.strerror}): name another file.") from error
    print(f"Some of the {people(source)} of {arguments.name} are shown in {arguments.out}")
    return 0


def do_convert(arguments: argparse.Namespace) -> int:
    """Write a source in another format; exit code 1 where images had to be left out."""
    with faces.open_source(arguments.name, arguments.folder) as source, progress("image") as tell:
        left_out = [*source.damaged, *convert(source, arguments.to, arguments.out, tell)]
    print(f"{arguments.name} is in {arguments.out} as {arguments.to}; {len(left_out)} left out")
    several(left_out)
    return 1 if left_out else 0


@contextmanager
def progress(unit: str, **more: Any) -> Iterator[Callable[[int, int], None]]:
    """A progress bar that is told how much of how many is done."""
    with tqdm(unit=unit, disable=None, dynamic_ncols=True, **more) as bar:

        def tell(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield tell
