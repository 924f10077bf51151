"""Evaluation in the midst of a training on several processes."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from evaluation_cases import ROOT, free_port
from test_evaluation import drawn_pairs

from losslab import models
from losslab.data.faces.pairs import write_pairs
from losslab.evaluation import PairSet, evaluate
from losslab.evaluation.group import gathered, texts, together

PROGRAM = """
import json, os, sys
import torch
from datetime import timedelta
from torch import distributed
from torch.nn.parallel import DistributedDataParallel
from losslab import models
from losslab.data.faces.pairs import read_pairs
from losslab.evaluation import PairSet, evaluate

rank, port, path, what = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
store = f"tcp://127.0.0.1:{port}"
distributed.init_process_group("gloo", init_method=store, rank=rank, world_size=2, timeout=timedelta(seconds=60))
torch.manual_seed(0)
model = models.make("tiny", 16, (3, 112, 112))
if what == "dies" and rank == 1:
    model.forward = lambda images: os._exit(9)
if what == "fails" and rank == 1:
    def fail(images):
        raise RuntimeError("no memory is left")
    model.forward = fail
model = DistributedDataParallel(model.train())
try:
    results = evaluate(model, [PairSet(read_pairs(path))], "cpu", distributed.group.WORLD)
except Exception as error:
    print(json.dumps({"error": type(error).__name__, "says": str(error)}))
    os._exit(3)
images = torch.randint(0, 256, (4, 3, 112, 112), dtype=torch.uint8)
model(images).sum().backward()  # training goes on
print(json.dumps({"training": model.module.training, "values": [each.value for each in results]}))
distributed.destroy_process_group()
"""


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    path = tmp_path_factory.mktemp("pairs") / "drawn.bin"
    drawn = drawn_pairs(150)
    write_pairs(path, drawn.payloads, drawn.same.tolist())
    return path


def two(pairs, what):
    port = str(free_port())
    started = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(rank), port, str(pairs), what],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        for rank in range(2)
    ]
    outcome = [each.communicate(timeout=120) for each in started]
    return [
        (each.returncode, json.loads(out) if out.strip() else None, errors)
        for each, (out, errors) in zip(started, outcome, strict=True)
    ]


def test_a_network_in_ddp_is_measured_and_trains_on(pairs):
    torch.manual_seed(0)
    model = models.make("tiny", 16, (3, 112, 112))
    from losslab.data.faces.pairs import read_pairs

    alone = [each.value for each in evaluate(model, [PairSet(read_pairs(pairs))], "cpu")]
    for code, said, errors in two(pairs, "well"):
        assert code == 0, errors
        assert said == {"training": True, "values": alone}


def test_where_one_fails_all_fail_alike(pairs):
    first, second = two(pairs, "fails")
    assert [first[0], second[0]] == [3, 3]
    assert first[1] == {"error": "ValueError", "says": "no memory is left"}
    assert second[1]["says"] == "no memory is left"


def test_nobody_waits_for_a_process_that_died(pairs):
    first, second = two(pairs, "dies")
    assert second[0] == 9, second[2]
    assert first[0] == 3 and first[1]["error"] == "ConnectionError" and "start it again" in first[1]["says"]


def test_alone_there_is_nobody_to_tell():
    rows = torch.from_numpy(np.arange(6.0).reshape(3, 2))
    assert texts("so", None) == ["so"] and gathered(rows, None) is rows
    with pytest.raises(KeyError), together(None):
        raise KeyError("mine")
