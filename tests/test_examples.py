"""The examples run as they stand, and what they train recognises digits."""

import ast
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NEEDS = {"plain_loop": "torch", "fabric": "lightning_fabric", "accelerate_loop": "accelerate"}


@pytest.mark.parametrize("name", NEEDS)
def test_an_example_trains(name, tmp_path):
    if importlib.util.find_spec(NEEDS[name]) is None:
        pytest.skip(f"{NEEDS[name]} is not installed")
    environment = {
        **os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "",
        "ACCELERATE_USE_CPU": "1",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, ROOT / "examples" / f"{name}.py"],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=150,
    )
    assert done.returncode == 0, done.stderr
    losses = [float(found) for found in re.findall(r"loss (\S+)", done.stdout)]
    accuracy = float(re.search(r"accuracy ([\d.]+)", done.stdout)[1])
    assert losses[-1] < losses[0] and accuracy > 0.88
    assert not list(tmp_path.iterdir())


def test_every_python_example_is_run():
    assert {path.stem for path in (ROOT / "examples").glob("*.py")} == set(NEEDS)


@pytest.mark.parametrize("name", NEEDS)
def test_the_guide_shows_what_the_example_does(name):
    """The lines of the guide that stand under the name of an example stand in the example too."""
    guide = (ROOT / "docs" / "library.md").read_text(encoding="utf-8")
    shown = re.search(rf"examples/{name}\.py.*?```python\n(.*?)```", guide, re.S)[1]
    held = {line.strip() for line in (ROOT / "examples" / f"{name}.py").read_text(encoding="utf-8").splitlines()}
    missing = [
        line for line in shown.splitlines() if line.strip() and line.strip() != "..." and line.strip() not in held
    ]
    assert not missing


def test_every_block_of_the_guide_is_python():
    guide = (ROOT / "docs" / "library.md").read_text(encoding="utf-8")
    for block in re.findall(r"```python\n(.*?)```", guide, re.S):
        ast.parse(block)
