"""Training on faces: the same images from each format, people kept apart, maps of more than three dimensions."""

import dataclasses

import numpy as np
import pytest
import torch
from face_cases import RECIPE, in_each_format, real

from losslab.live import frames
from losslab.live.projector import Place
from losslab.metrics import strangers, unseen_eer
from losslab.projections.sphere_map import SphereMap
from losslab.training import Recipe, Run, RunWriter, build, probe, train

pytestmark = real


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A data folder with the same faces in each of the three formats."""
    made = tmp_path_factory.mktemp("data")
    in_each_format(made)
    return made


@pytest.fixture(autouse=True)
def here(folder, monkeypatch):
    monkeypatch.setenv("LOSSLAB_DATA", str(folder))


@pytest.fixture(scope="module")
def run(folder, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOSSLAB_DATA", str(folder))
        path = tmp_path_factory.mktemp("runs") / "faces"
        with RunWriter(path, RECIPE, probe(RECIPE)) as writer:
            for snapshot in train(RECIPE):
                writer.append(snapshot)
            writer.state("done")
    return Run(path)


def test_a_recipe_with_faces_is_written_and_read():
    assert Recipe.from_dict(RECIPE.to_dict()) == RECIPE
    assert RECIPE.classes == tuple(range(24))
    assert RECIPE.key != dataclasses.replace(RECIPE, faces=dataclasses.replace(RECIPE.faces, seed=1)).key
    for wrong in ({"data": "mnist"}, {"faces": None}):
        with pytest.raises(ValueError, match="faces are chosen with data"):
            dataclasses.replace(RECIPE, **wrong)


@pytest.mark.parametrize("kind", ["recordio", "shards"])
def test_each_format_trains_on_the_same_images(run, kind):
    recipe = dataclasses.replace(RECIPE, faces=dataclasses.replace(RECIPE.faces, source=kind))
    found = probe(recipe)
    assert np.array_equal(found.images, run.probe.images) and np.array_equal(found.labels, run.probe.labels)
    steps = zip(train(recipe), run, strict=False)
    for _, (ours, theirs) in zip(range(4), steps, strict=False):
        assert np.array_equal(ours.embedding, theirs.embedding)


def test_strangers_are_told_apart_better_by_a_trained_network(run):
    from losslab.verification import all_pairs, embed, equal_error_rate

    found = strangers(RECIPE)
    assert len(found.names) == 12 and not set(found.names) & set(map(str, run.probe.names))
    untrained = build.build(RECIPE, (1, 32, 32))[0].eval()
    pairs = all_pairs(embed(untrained, found.images, flip=False), found.labels.numpy())
    trained, reason = unseen_eer(run)
    assert not reason and trained < equal_error_rate(pairs.genuine, pairs.impostor) - 0.02


def test_a_network_is_trained_on_colour_too():
    recipe = dataclasses.replace(RECIPE, faces=dataclasses.replace(RECIPE.faces, grey=False, identities=4), epochs=1)
    found = probe(recipe)
    assert found.images.shape[1:] == (32, 32, 3) and found.pixels.shape[1:] == (3, 32, 32)
    assert np.isfinite(list(train(recipe))[-1].loss).all()


def test_a_map_travels_with_the_true_angles(run):
    snapshot = run[-1]
    placed = SphereMap().place(snapshot.embedding, snapshot.prototypes)
    frame = frames.encode(run, len(run) - 1, Place(placed.samples, placed.prototypes, {"map_recall": 0.5}))
    n, dim, flags = len(snapshot.embedding), frame[18], frame[19]
    assert dim == 3 and flags & frames.A_MAP
    own, other, rival = (
        np.frombuffer(part[: 2 * n], kind)
        for part, kind in zip(
            np.split(np.frombuffer(frame, "u1")[-3 * padded(2 * n) :], 3), ("<i2", "<i2", "<u2"), strict=True
        )
    )
    direction = snapshot.embedding / np.linalg.norm(snapshot.embedding, axis=1, keepdims=True)
    cosine = direction @ (snapshot.prototypes / np.linalg.norm(snapshot.prototypes, axis=1, keepdims=True)).T
    mine = np.arange(n), run.probe.labels
    assert np.allclose(own / 32767, cosine[mine], atol=1e-4)
    cosine[mine] = -2
    assert np.allclose(other / 32767, cosine.max(1), atol=1e-4) and np.array_equal(rival, cosine.argmax(1))


def padded(size: int) -> int:
    return size + -size % 4


def test_half_of_the_faces_are_seen_in_a_mirror():
    from losslab.training.images import batches, load

    train_part, _ = load(RECIPE)
    mirrored = 0
    seen = next(batches(dataclasses.replace(RECIPE, shift=0, batch=128), train_part))
    for image, label in zip(*seen, strict=True):
        mine = train_part.images[train_part.labels == label]
        straight, turned = ((mine == each).flatten(1).all(1).any() for each in (image, image.flip(2)))
        assert straight or turned
        mirrored += bool(turned)
    assert 40 < mirrored < 88 and seen[0].dtype == torch.uint8
