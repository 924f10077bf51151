"""Classes divided over processes on one machine: what one step sends against the least that it must, and how long it
takes beside one process that does the same."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import torch
import torch.distributed as dist

from losslab import ArcFace, PrototypeHead

from .report import Row, Table

BATCH, DIM, CLASSES = 512, 512, 100_000
PROCESSES, STEPS = (1, 2, 3, 4), 3
HOW = (
    "ArcFace, {classes} classes, b = 512 in all, d = 512, float32, gloo on one machine of two cores with one thread a "
    "process: with more processes than cores the time says nothing of more machines. Sent: bytes that one process "
    "hands to collectives in a step, forward and backward. Peer: the least, which is its embeddings and labels to all, "
    "one sum of three numbers for each sample of all, and one sum of the embedding gradients of all."
)


def measure(*, quick: bool) -> list[Table]:
    classes = 2_000 if quick else CLASSES
    rows = []
    for count in PROCESSES:
        took, sent = together(count, classes)
        rows.append(Row(f"{count} processes: a step" if count > 1 else "1 process: a step", took))
        if count > 1:
            rows.append(Row(f"{count} processes: sent by each", [sent / 1e6], [least(count) / 1e6], unit="MB"))
    return [Table("Classes over processes", HOW.format(classes=f"{classes:,}".replace(",", " ")), rows)]


def least(count: int) -> int:
    """Bytes that a process must hand over: its samples once, and of all samples three numbers and a gradient."""
    own = BATCH // count
    return own * (4 * DIM + 8) + BATCH * 3 * 4 + BATCH * DIM * 4


def together(count: int, classes: int) -> tuple[list[float], int]:
    """Seconds of each step and bytes of one, as the first of so many processes has them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(count)}
    command = [sys.executable, "-m", "benchmarks.scaling", str(classes)]
    started = [
        subprocess.Popen(
            command, env=environment | {"RANK": str(rank)}, cwd=Path(__file__).parents[1], stdout=subprocess.PIPE
        )
        for rank in range(count)
    ]
    said = json.loads(started[0].communicate()[0].splitlines()[-1])
    for process in started[1:]:
        process.communicate()
    return said["seconds"], said["bytes"]


def step_by_step(classes: int) -> dict:
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    own, rank = BATCH // dist.get_world_size(), dist.get_rank()
    torch.manual_seed(rank)
    group = dist.group.WORLD if dist.get_world_size() > 1 else None
    head = PrototypeHead(ArcFace(), DIM, classes, seed=0, tile="auto", group=group)
    embedding = torch.randn(own, DIM, requires_grad=True)
    label = torch.randint(classes, (own,))
    took = []
    with head.division.processes.counted() as traffic:
        for _ in range(STEPS + 1):
            traffic.bytes.clear()
            embedding.grad = head.prototypes.grad = None
            dist.barrier()
            began = time.perf_counter()
            head(embedding, label).mean().backward()
            took.append(time.perf_counter() - began)
    dist.destroy_process_group()
    return {"seconds": took[1:], "bytes": sum(traffic.bytes.values())}


if __name__ == "__main__":
    print(json.dumps(step_by_step(int(sys.argv[1]))))
