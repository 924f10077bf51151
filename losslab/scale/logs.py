"""What is measured on the way, as lines of CSV and, where it is asked for, for TensorBoard."""

import csv
import io
from pathlib import Path
from typing import Any

from losslab.evaluation import Result
from losslab.training.run import Sentence, replace_text

COLUMNS = ("step", "epoch", "loss", "rate", "images_a_second", "gradient", "loss_scale", "left_out")
VERIFIED = ("step", "set", "measure", "value")


class Log:
    """`metrics.csv` of a run, and `verified.csv` where it is verified: lines are there as soon as they are written."""

    def __init__(self, run: Path, *, after: int = 0, board: bool = False) -> None:
        """
        Args:
            after: the step that training goes on from; lines of later ones, of a run that was killed, go.
            board: write for TensorBoard too, below `run`. ValueError where that is not installed.
        """
        self.path, self._verified = run / "metrics.csv", run / "verified.csv"
        begin(self.path, COLUMNS, after)
        if self._verified.exists():
            begin(self._verified, VERIFIED, after)
        self._board = open_board(run, after) if board else None

    def write(self, step: int, values: dict[str, float]) -> None:
        with Sentence(self.path.parent), self.path.open("a", encoding="utf-8") as file:
            file.write(",".join([str(step), *(f"{values[name]:.7g}" for name in COLUMNS[1:])]) + "\n")
        if self._board is not None:
            for name, value in values.items():
                self._board.add_scalar(name, value, step)
            self._board.flush()

    def verified(self, step: int, results: list[Result]) -> None:
        if not self._verified.exists():
            begin(self._verified, VERIFIED, step)
        with Sentence(self.path.parent), self._verified.open("a", newline="", encoding="utf-8") as file:
            rows = [[step, each.set, each.measure, f"{each.value:.7g}"] for each in results]
            csv.writer(file, lineterminator="\n").writerows(rows)
        if self._board is not None:
            for each in results:
                self._board.add_scalar(f"{each.set}/{each.measure}", each.value, step)

    def close(self) -> None:
        if self._board is not None:
            self._board.close()


def lines(path: Path) -> list[dict[str, str]]:
    """The whole lines of a table; none where there is no table yet. A last one may be half written."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if (row["step"] or "").isdigit() and None not in row.values()]


def begin(path: Path, columns: tuple[str, ...], after: int) -> None:
    """A table with its head, and the whole lines up to a step of what was there."""
    kept = [[row[name] for name in columns] for row in lines(path) if int(row["step"]) <= after]
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([columns, *kept])
    with Sentence(path.parent):
        replace_text(path, text.getvalue())


def board() -> Any:
    """TensorBoard's writer. ValueError where it is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise ValueError("TensorBoard is not installed: pip install tensorboard, or leave out --tensorboard.") from None
    return SummaryWriter


def open_board(run: Path, after: int) -> Any:
    return board()(str(run / "tensorboard"), purge_step=after + 1)
