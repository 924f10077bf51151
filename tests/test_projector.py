"""A tour and three chosen prototypes as the server tells them: all dimensions, true angles, whose prototypes."""

import numpy as np
import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient
from test_routes import unpack

from losslab import losses, projections
from losslab.live import frames
from losslab.live.pool import Pool
from losslab.live.routes import routes
from losslab.losses import SubCenterArcFace
from losslab.projections.base import directions
from losslab.projections.three import CHOSEN, ThreePrototypes
from losslab.training import Probe, Recipe, Run, RunWriter, Snapshot

N, C, HEADER = 40, 4, 32


def write(path, dim: int, **recipe) -> Run:
    """A run of two snapshots, of nothing in particular."""
    recipe = Recipe(classes=(1, 3, 5, 7), dim=dim, **recipe)
    random = np.random.default_rng(0)
    shown = Probe(np.zeros((N, 28, 28), np.uint8), np.arange(N) % C, np.zeros(N, np.uint8), ("1", "3", "5", "7"))
    with RunWriter(path, recipe, shown) as writer:
        for step in range(2):
            writer.append(
                Snapshot(
                    step=step,
                    embedding=random.normal(size=(N, dim)).astype(np.float32),
                    prototypes=random.normal(size=(C * recipe.loss.subcentres, dim)).astype(np.float32),
                    loss=random.random(N).astype(np.float32),
                    gap=random.normal(size=N).astype(np.float32),
                    correct=np.ones(N, bool),
                    scalars={"loss": 0.5},
                    knobs=losses.settings(recipe.loss),
                    weights=None,
                )
            )
        writer.state("done")
    return Run(path)


@pytest.fixture
def client(tmp_path):
    pool = Pool(tmp_path, slots=[])
    with TestClient(Starlette(routes=routes(lambda: pool, tmp_path / "recordings"))) as client:
        yield client


def padded(size: int) -> int:
    return size + -size % 4


def test_a_tour_travels_in_all_dimensions_with_the_true_angles(client, tmp_path):
    run = write(tmp_path / "aa", dim=16)
    facts = client.get("/losslab/runs/aa?map=Tour").json()
    assert facts["snapshots"] == 2 and facts["state"] == "done" and facts["dim"] == 3
    assert facts["map"]["title"] == "Tour" and facts["map"]["of"] == 16 and facts["map"]["says"].endswith(".")
    sent = unpack(client.get("/losslab/runs/aa/frames?map=Tour").content)
    assert len(sent) == 2
    for frame, snapshot in zip(sent, run, strict=True):
        assert frame[18] == 16 and frame[19] & frames.A_MAP
        true = directions(snapshot.embedding)
        tail = padded(2 * N) * 3
        before = padded(2 * N) * 3 + padded(N)  # norm, gap, loss, state
        at = len(frame) - tail - before - padded(2 * N * 16)
        position = np.frombuffer(frame, "<i2", N * 16, at).reshape(N, 16)
        assert np.allclose(position / 32767, true, atol=1e-4)
        own = np.frombuffer(frame, "<i2", N, len(frame) - tail)
        cosine = true @ directions(snapshot.prototypes).T
        assert np.allclose(own / 32767, cosine[np.arange(N), np.arange(N) % C], atol=1e-4)


@pytest.mark.parametrize(("dim", "says"), [(3, "drawn as they are"), (256, "at most 255 dimensions")])
def test_a_tour_of_too_few_or_too_many_dimensions_is_refused_with_one_sentence(client, tmp_path, dim, says):
    write(tmp_path / "aa", dim)
    answer = client.get("/losslab/runs/aa/frames?map=Tour")
    assert answer.status_code == 400 and says in answer.text and answer.text.endswith(".")


@pytest.mark.parametrize(
    ("text", "chosen"),
    [("ThreePrototypes:0,4,7", (0, 4, 7)), ("ThreePrototypes", CHOSEN), ("ThreePrototypes:12,3,1", (12, 3, 1))]
    + [
        (f"ThreePrototypes:{wrong}", CHOSEN)
        for wrong in ("", "1,2", "1,1,2", "1,2,3,4", "-1,2,3", "a,b,c", "1, 2,3", "1,2,3\n", "٣,2,1", "9999999,1,2")
    ],
)
def test_three_prototypes_are_chosen_by_name(text, chosen):
    projection = projections.read(text)
    assert isinstance(projection, ThreePrototypes) and projection.chosen == chosen


def test_names_of_projections():
    for name, kind in projections.catalogue().items():
        assert type(projections.read(name)) is kind
    for wrong in ("", "tour", "ThreePrototype", "../Tour"):
        with pytest.raises(ValueError, match="There is no projection"):
            projections.read(wrong)


def test_the_browser_learns_whose_prototypes_were_chosen(client, tmp_path):
    write(tmp_path / "aa", dim=8)
    write(tmp_path / "bb", dim=8, loss=SubCenterArcFace(subcentres=2))
    assert client.get("/losslab/runs/aa?map=ThreePrototypes:0,3,1").json()["map"]["chosen"] == [0, 3, 1]
    assert client.get("/losslab/runs/bb?map=ThreePrototypes:0,6,2").json()["map"]["chosen"] == [0, 3, 1]
    assert "chosen" not in client.get("/losslab/runs/aa?map=Tour").json()["map"]
