"""Checkpoints: whole or not there, of as many as are kept, and none that can run code."""

import os
import pickle

import pytest
import torch
from face_cases import sentence

from losslab.scale import checkpoint
from losslab.scale.checkpoint import Share
from losslab.scale.processes import Processes, ScaleError

ALONE = Processes(torch.device("cpu"))


def state(value=0.0):
    return {"weight": torch.full((2, 3), value), "rows": Share(torch.full((5, 2), value), 0, 5), "n": torch.tensor(7)}


def test_rows_come_back_wherever_they_are_asked_for(tmp_path):
    rows = torch.arange(10.0).view(5, 2)
    path = checkpoint.save(tmp_path, 3, {"rows": Share(rows, 0, 5), "n": torch.tensor(7)}, {"said": "so"}, ALONE, 2)
    assert checkpoint.said(path) == {"step": 3, "said": "so"}
    assert checkpoint.names(path) == {"rows": torch.Size([5, 2]), "n": torch.Size([])}
    for first, count in ((0, 2), (1, 3), (4, 1)):
        part = {"rows": Share(torch.zeros(count, 2), first, 5), "n": torch.tensor(0)}
        checkpoint.load(path, part, ALONE)
        assert torch.equal(part["rows"].rows, rows[first : first + count]) and part["n"] == 7


def test_the_newest_are_kept(tmp_path):
    for step in range(1, 6):
        checkpoint.save(tmp_path, step, state(step), {}, ALONE, 2)
    assert [checkpoint.said(path)["step"] for path in checkpoint.found(tmp_path)] == [4, 5]


def test_one_that_cannot_be_written_leaves_those_before_it(tmp_path, monkeypatch):
    checkpoint.save(tmp_path, 1, state(1.0), {}, ALONE, 2)

    def full(*_):
        raise OSError(28, os.strerror(28))

    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", full)
        with pytest.raises(ScaleError, match="No space left") as refused:
            checkpoint.save(tmp_path, 2, state(2.0), {}, ALONE, 2)
    sentence(refused)
    (kept,) = checkpoint.found(tmp_path)
    back = state()
    checkpoint.load(kept, back, ALONE)
    assert (back["weight"] == 1).all() and os.listdir(tmp_path) == [kept.name]


def test_what_a_killed_program_left_half_done_is_not_taken(tmp_path):
    path = checkpoint.save(tmp_path, 1, state(), {}, ALONE, 2)
    (tmp_path / ".step-000000002.part").mkdir()
    (tmp_path / "step-000000003").mkdir()
    assert checkpoint.found(tmp_path) == [path]
    checkpoint.save(tmp_path, 2, state(), {}, ALONE, 2)
    assert len(checkpoint.found(tmp_path)) == 2


def test_another_size_and_damage_are_said(tmp_path):
    path = checkpoint.save(tmp_path, 1, state(), {}, ALONE, 2)
    with pytest.raises(ScaleError, match="is damaged") as refused:
        checkpoint.load(path, {"weight": torch.zeros(3, 3)}, ALONE)
    sentence(refused)
    (path / ".metadata").write_bytes(b"nothing")
    with pytest.raises(ScaleError, match="is damaged"):
        checkpoint.names(path)


class Evil:
    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


def test_an_index_that_would_run_code_does_not(tmp_path):
    path = checkpoint.save(tmp_path, 1, state(), {}, ALONE, 2)
    (path / ".metadata").write_bytes(pickle.dumps(Evil(f"touch {tmp_path / 'ran'}")))
    with pytest.raises(ScaleError):
        checkpoint.names(path)
    with pytest.raises(ScaleError):
        checkpoint.load(path, state(), ALONE)
    assert not (tmp_path / "ran").exists()
