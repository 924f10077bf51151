"""The guide keeps its word: its example, dropped in as one file, is listed, trained, drawn, printed and tested."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
GUIDE = ROOT / "docs" / "write_your_own.md"
NAME = "TaperedArc"
TRAINING = f"train --loss {NAME} --margin 0.4 --epochs 1 --per-class 50".split()
FIGURE = f"figure ToyScatter --loss {NAME}(margin=0.4) --loss ArcFace --per-class 30 --epochs 1 --probe 60".split()

SHOWN = f"""
from pathlib import Path

import losslab
from losslab import cli, losses
from losslab.live import frames
from losslab.training import Run
from streamlit.testing.v1 import AppTest
from pages.parts import server

assert Path(losslab.__file__).is_relative_to(Path.cwd())
kind = losses.catalogue()["{NAME}"]
assert kind.card.toy.keys() <= losses.knobs(kind()).keys() and "{NAME}" in losses.bases()

assert cli.main({TRAINING}) == 0
(path,) = Path("runs").glob("{NAME.lower()}-*")
run = Run(path)
assert run.recipe.loss == losses.make("{NAME}", scale=16, margin=0.4)
assert cli.main({[*FIGURE, "--out", "toy.pdf"]}) == 0
assert frames.encode(run, len(run) - 1).startswith(b"LLF1")

at = AppTest.from_file("app.py", default_timeout=30)
at.query_params["loss"] = "{NAME}"
at.query_params["margin"] = "0.4"
at.run()
assert not at.exception and not at.warning, (at.exception, at.warning)
assert at.selectbox(key="loss").value == "{NAME}" and at.slider(key="margin").value == 0.4
assert not at.button(key="train").disabled
at.switch_page("pages/8_library.py").run()
at.query_params["loss"] = "{NAME}"
at.run()
assert not at.exception and not at.warning, (at.exception, at.warning)
assert kind.card.title in [header.value for header in at.header]
server.pool().close()
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A copy of the project with one file more."""
    folder = tmp_path_factory.mktemp("project")
    for name in ("losslab", "pages", "tests", "app.py", "pyproject.toml"):
        whole = (ROOT / name).is_dir()
        unneeded = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, folder / name, ignore=unneeded) if whole else shutil.copy(ROOT / name, folder)
    (folder / "recordings").symlink_to(ROOT / "recordings")
    (code,) = re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    (folder / "losslab" / "losses" / f"{NAME.lower()}.py").write_text(code, encoding="utf-8")
    return folder


def test_the_example_of_the_guide_needs_no_other_edit(project):
    tests = ("tests/test_losses_algebra.py", "tests/test_gradients.py")
    with start(project, "-m", "pytest", "-k", NAME, "-p", "no:xdist", "-p", "no:cacheprovider", *tests) as testing:
        assert "Test accuracy" in ended(start(project, "-c", SHOWN))
        assert f"{NAME}(margin=0.4)" in (project / "toy.toml").read_text("utf-8")
        assert (project / "toy.pdf").read_bytes().startswith(b"%PDF")
        assert int(re.search(r"(\d+) passed", ended(testing))[1]) > 20


def start(folder: Path, *command: str) -> subprocess.Popen:
    environment = {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(folder), "LOSSLAB_RUNS": str(folder / "runs")}
    return subprocess.Popen(
        [sys.executable, *command],
        cwd=folder,
        env={**os.environ, **environment},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def ended(process: subprocess.Popen) -> str:
    """What it said; it must have ended well."""
    try:
        said, _ = process.communicate(timeout=90)
    finally:
        process.kill()
    assert process.returncode == 0, said[-4000:]
    return said
