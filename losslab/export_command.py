"""`python -m losslab export`: a trained network as ONNX, torch.export or weights."""

import argparse
from pathlib import Path
from typing import Any

from losslab.asked_network import add_network, asked_network
from losslab.export import export, facts


def add_export(commands: Any) -> None:
    """The subcommand with its flags."""
    parser = commands.add_parser(
        "export",
        help="write a trained network for other programs",
        description="Write a trained network as ONNX (.onnx), torch.export (.pt2) or weights (.pt), after comparing "
        "the embeddings that the file gives with PyTorch's.",
    )
    add_network(parser)
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FILE", help="the file, which ends in .onnx, .pt2 or .pt"
    )
    parser.set_defaults(do=do_export)


def do_export(arguments: argparse.Namespace) -> int:
    """Write the file and say what it takes and gives."""
    network = asked_network(arguments)
    distance = export(network, arguments.out)
    print(f"The network is in {arguments.out}; its embeddings are PyTorch's to {distance:.1g} of their length.")
    for name, said in facts(network).items():
        print(f"    {name}: {said}")
    return 0
