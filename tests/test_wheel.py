"""The wheel: it builds, and in an environment of its own it has all that it needs to train."""

import os
import shutil
import site
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

TRAINS = """
import sys
from pathlib import Path
import torch
import losslab
from losslab import ArcFace, PrototypeHead, data

assert Path(losslab.__file__).is_relative_to(sys.prefix), losslab.__file__
torch.manual_seed(0)
train = data.load("mnist", "train")
backbone = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 8))
head = PrototypeHead(ArcFace(scale=16, margin=0.3), dim=8, classes=10, seed=0)
optimiser = torch.optim.SGD([*backbone.parameters(), *head.parameters()], lr=0.001)
for step in range(2):
    loss = head(backbone(train.images[:64] / 255), train.labels[:64]).mean()
    loss.backward()
    optimiser.step()
    optimiser.zero_grad()
    print(loss.item())
"""


def run(*words, **options):
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment |= {"OMP_NUM_THREADS": "1", "PIP_NO_INDEX": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    return subprocess.run(
        [str(word) for word in words], env=environment, capture_output=True, text=True, timeout=150, **options
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built from a copy, for building leaves files behind."""
    copy = tmp_path_factory.mktemp("source")
    shutil.copytree(ROOT / "losslab", copy / "losslab", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    built = copy / "built"
    done = run(sys.executable, "-m", "pip", "wheel", ".", "--no-build-isolation", "--no-deps", "-w", built, cwd=copy)
    assert done.returncode == 0, done.stderr
    (found,) = built.glob("losslab-*.whl")
    return found


def test_the_wheel_holds_all_of_the_package(wheel):
    held = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("losslab/")}
    there = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "losslab").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert held == there and "losslab/py.typed" in held


def test_it_trains_in_an_environment_of_its_own(wheel, tmp_path):
    made = run(sys.executable, "-m", "venv", "--without-pip", tmp_path / "fresh")
    assert made.returncode == 0, made.stderr
    python = tmp_path / "fresh" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    done = run(sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", wheel)
    assert done.returncode == 0, done.stderr
    (own,) = (tmp_path / "fresh").rglob("site-packages")
    (own / "tests_have.pth").write_text("\n".join(site.getsitepackages()))  # torch and NumPy, but behind its own
    trained = run(python, "-c", TRAINS, cwd=tmp_path)
    assert trained.returncode == 0, trained.stderr
    first, second = map(float, trained.stdout.split())
    assert second < first
    said = run(python, "-m", "losslab", "--help", cwd=tmp_path)
    assert said.returncode == 0 and "verify" in said.stdout, said.stderr
