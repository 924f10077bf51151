"""Small trainings at full scale that tests share: several processes on this machine, as torchrun would start them."""

import multiprocessing
import os
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from face_cases import REAL

from losslab import cli
from losslab.scale import ScaleRecipe, checkpoint
from losslab.scale.processes import Processes, joined

FACES = REAL.parent / "orl_faces"
# Smooth from end to end: where a unit has a kink, rounding of another order now and then falls on its other side.
SMOOTH = ScaleRecipe(
    source="casia_format", size=32, colour="grey", model="tiny", dim=16, epochs=1, batch=24, rate=0.01, clip=5.0,
    warm_up=0.5, average=0.9, shown=6, shown_images=3,
)  # fmt: skip


def write(recipe: ScaleRecipe, path: Path) -> Path:
    """The recipe as a TOML file."""
    lines, plain = [], recipe.to_dict()
    stated = plain.pop("stated")
    for name, value in plain.items():
        lines.append(f'{name} = """{value}"""' if isinstance(value, str) else f"{name} = {toml(value)}")
    lines += ["[stated]", *(f'{name} = "{value}"' for name, value in stated.items())]
    path.write_text("\n".join(lines))
    return path


def toml(value):
    return str(value).lower() if isinstance(value, bool) else str(value)


def start(processes: int, *arguments: object) -> list["Started"]:
    """`python -m losslab scale ...` in so many processes, as torchrun starts them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ["scale", *map(str, arguments), "--device", "cpu"]
    command += [] if "--timeout" in command else ["--timeout", "60"]
    command += [] if "--workers" in command else ["--log-every", "1", "--workers", "1"]
    command += [] if "--folder" in command else ["--folder", str(FACES)]
    group = {"WORLD_SIZE": str(processes), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    return [
        Started(command, group | {"RANK": str(rank), "LOCAL_RANK": str(rank)} if processes > 1 else {})
        for rank in range(processes)
    ]


class Started:
    """One process of a training. They are forked from one that has imported torch already, which takes seconds."""

    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        ["scale_cases", "losslab.cli", "losslab.scale.training", "torch.distributed.checkpoint", "torch._dynamo"]
    )

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.process = self.context.Process(target=in_process, args=(command, environment, self.folder))
        self.process.start()

    @property
    def pid(self) -> int:
        return self.process.pid

    def running(self) -> bool:
        return self.process.is_alive()

    def end(self, timeout: float) -> tuple[int, str, str]:
        """Its exit code, what it printed, and what it complained of."""
        self.process.join(timeout)
        hung = self.running()
        if hung:
            self.process.kill()
        said = [(self.folder / name).read_text() if (self.folder / name).exists() else "" for name in ("out", "err")]
        shutil.rmtree(self.folder)
        assert not hung, f"it did not end: {said}"
        return self.process.exitcode, *said


def in_process(command: list[str], environment: dict[str, str], folder: Path) -> None:
    os.environ.update(environment)
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(folder / name, os.O_WRONLY | os.O_CREAT, 0o600), number)
    torch.set_num_threads(1)
    multiprocessing.set_start_method("fork", force=True)  # of workers: from here, as they begin where nothing is said
    code = cli.main(command)
    sys.stdout.flush(), sys.stderr.flush()
    sys.exit(code)


def ended(started: list[Started], timeout: float = 60) -> tuple[list[int], str, str]:
    """Exit codes of all, what the first one printed, and what it complained of."""
    said = [each.end(timeout) for each in started]
    return [code for code, _, _ in said], *said[0][1:]


def run(processes: int, *arguments: object) -> tuple[list[int], str, str]:
    return ended(start(processes, *arguments))


def finished(processes: int, *arguments: object) -> str:
    """What was printed by a training that came to its end."""
    codes, out, err = run(processes, *arguments)
    assert codes == [0] * processes, err
    return out


def wait_for(path: Path, lines: int, started: list[Started]) -> None:
    """Until a file has so many lines."""
    until = time.monotonic() + 60
    while not path.exists() or path.read_text().count("\n") < lines:
        assert time.monotonic() < until and all(each.running() for each in started), "it never got there"
        time.sleep(0.01)


def weights(run: Path) -> dict[str, torch.Tensor]:
    """All that the newest checkpoint of a run holds, put together."""
    path = checkpoint.found(run / "checkpoints")[-1]
    about = checkpoint.SafeReader(path).read_metadata().state_dict_metadata
    state = {name: torch.zeros(each.size, dtype=each.properties.dtype) for name, each in about.items()}
    checkpoint.load(path, state, Processes(torch.device("cpu")))
    return state


def apart(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    """The largest distance of the weights of two states, tensor by tensor, relative to the first's length."""
    assert one.keys() == other.keys()
    # Momentum has no scale to be relative to: of an offset before a normalisation it is made of nothing but rounding.
    pairs = [(one[name].double(), other[name].double()) for name in one if not name.startswith("optimiser.")]
    return max(float((a - b).norm() / a.norm().clamp(min=1e-3)) for a, b in pairs)


def in_group(count: int, check: Callable[[Processes], None]) -> None:
    """Call `check(processes)` in so many processes that know one another; what fails in one fails here."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    there = [Started.context.Process(target=member, args=(check, rank, count, port)) for rank in range(count)]
    for each in there:
        each.start()
    for each in there:
        each.join(60)
    assert [each.exitcode for each in there] == [0] * count


def member(check: Callable[[Processes], None], rank: int, count: int, port: int) -> None:
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    with joined("cpu", 60) as processes:
        check(processes)
