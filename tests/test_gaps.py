"""Grids of gaps: what the real head says of every direction, on the very grid that the stage draws."""

import json
import shutil
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from test_frames import moment, write

from losslab import losses
from losslab.live import gaps
from losslab.training import Recipe, Run, head_at

STAGE = Path(gaps.__file__).parents[1] / "stage"


def decode(data: bytes) -> tuple[int, int, np.ndarray]:
    magic, index, n, c, dim = struct.unpack_from("<4sIIHH", data)
    assert magic == b"LLG1"
    directions = n if dim == 2 else (n + 1) ** 2
    return index, n, np.frombuffer(data, "<i2", offset=16).reshape(c, directions) / 8192


def run_of(tmp_path, name: str, dim: int) -> Run:
    loss = losses.starting(name)
    knobs = losses.settings(loss)
    memory = {} if name != "CurricularFace" else {"ripeness": np.float32(0.7)}
    snapshots = [moment(step, dim=dim, knobs=knobs, memory=memory) for step in range(2)]
    return write(tmp_path / "run", snapshots, Recipe(loss=loss, classes=(3, 5), dim=dim))


@pytest.mark.parametrize("name", ["InterFace", "CurricularFace", "MVSoftmax"])
@pytest.mark.parametrize("dim", [2, 3])
def test_a_grid_holds_what_the_head_says_of_embeddings_of_median_length(tmp_path, name, dim):
    run = run_of(tmp_path, name, dim)
    index, n, found = decode(gaps.encode(run, 1))
    place = gaps.circle(n) if dim == 2 else gaps.octahedron(n)
    assert index == 1 and found.shape == (2, len(place))
    length = float(np.median(np.linalg.norm(run[1].embedding, axis=1)))
    some, head = torch.arange(0, len(place), 97), head_at(run.recipe, run[1])
    for k in range(2):
        want = head.gap(place[some] * length, torch.full((len(some),), k)).clamp(-4, 4)
        assert np.allclose(found[k][some], want, atol=1e-4)


def test_the_directions_are_those_of_the_stage(tmp_path):
    if not (node := shutil.which("node")):
        pytest.skip("no node is installed")
    text = (STAGE / "zones.js").read_text(encoding="utf-8")
    function = text[text.index("function octahedron") : text.index("const RING")]
    script = f"{function}; console.log(JSON.stringify([...octahedron(8)]))"
    made = json.loads(subprocess.run([node, "-e", script], capture_output=True, check=True).stdout)
    assert np.allclose(np.reshape(made, (-1, 3)), gaps.octahedron(8), atol=1e-6)


def test_the_octahedral_grid_covers_the_sphere():
    place = gaps.octahedron(96)
    assert np.allclose(place.norm(dim=1), 1, atol=1e-6)
    north = place.view(97, 97, 3)[48, 48]
    corners = place.view(97, 97, 3)[[0, 0, -1, -1], [0, -1, 0, -1]]
    assert np.allclose(north, [0, 0, 1]) and np.allclose(corners, [[0, 0, -1]] * 4, atol=1e-6)
    anywhere = torch.nn.functional.normalize(torch.randn(200, 3, generator=torch.Generator().manual_seed(0)))
    assert (anywhere @ place.T).amax(1).min() > np.cos(0.03)


def test_more_than_three_dimensions_have_no_grid(tmp_path):
    run = write(tmp_path / "run", [moment(dim=5)])
    with pytest.raises(ValueError, match="this run has 5 dimensions"):
        gaps.encode(run, 0)


@pytest.mark.parametrize("embedding", [np.zeros((7, 3)), np.full((7, 3), np.inf), np.full((7, 3), 3e38)])
def test_embeddings_at_the_ends_of_the_numbers_have_a_length(tmp_path, embedding):
    run = write(tmp_path / "run", [moment(embedding=embedding.astype(np.float32))])
    assert np.isfinite(decode(gaps.encode(run, 0))[2]).all()
