"""What `train` promises: the same numbers again, knobs that turn, an end that leaves nothing behind."""

import dataclasses
import itertools
import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from losslab import ArcFace, ElasticFace, Softmax, data, losses
from losslab.training import Diverged, Recipe, Run, RunError, RunWriter, build, in_force, probe, restore, train
from losslab.training.loop import LONGEST, SNAPSHOTS, rate_share, snapshot_steps

SMALL = {"model": "mlp", "per_class": 40, "epochs": 1, "batch": 32, "probe": 40}


def small(**more):
    return Recipe(**SMALL | more)


def assert_same(left, right):
    assert (left.step, left.scalars, left.knobs) == (right.step, right.scalars, right.knobs)
    for name in ("embedding", "prototypes", "loss", "gap", "correct"):
        np.testing.assert_array_equal(getattr(left, name), getattr(right, name))


@pytest.mark.parametrize("model", ["mlp", "tiny"])
@pytest.mark.parametrize("loss", [ArcFace(scale=16, margin=0.3), ElasticFace(scale=16, margin=0.3)])
def test_equal_recipes_give_equal_numbers_whatever_else_is_random(model, loss):
    recipe = small(model=model, loss=loss, dim=2)
    first = list(train(recipe))
    torch.manual_seed(123)
    torch.rand(7)
    before = torch.get_rng_state()
    second = list(train(recipe))
    assert torch.equal(torch.get_rng_state(), before)
    for left, right in zip(first, second, strict=True):
        assert_same(left, right)
    for name, value in first[-1].weights.items():
        np.testing.assert_array_equal(value, second[-1].weights[name])


def test_another_seed_gives_another_run():
    first, second = (next(train(small(seed=seed))) for seed in (0, 1))
    assert not np.array_equal(first.embedding, second.embedding)
    assert not np.array_equal(first.prototypes, second.prototypes)


def test_a_snapshot_says_what_it_promises():
    recipe = small(loss=ArcFace(scale=16, margin=0.3), classes=(4, 9, 1), dim=3)
    snapshots = list(train(recipe))
    steps = [snapshot.step for snapshot in snapshots]
    assert steps == [0, 1, 2, 3]
    for snapshot in snapshots:
        assert snapshot.embedding.shape == (40, 3) and snapshot.prototypes.shape == (3, 3)
        for name in ("embedding", "prototypes", "loss", "gap"):
            value = getattr(snapshot, name)
            assert value.dtype == np.float32 and np.isfinite(value).all()
        assert snapshot.loss.shape == snapshot.gap.shape == snapshot.correct.shape == (40,)
        assert snapshot.correct.dtype == bool
        assert {"loss", "train_accuracy", "probe_accuracy", "epoch", "rate"} <= set(snapshot.scalars)
        assert all(isinstance(value, float) and math.isfinite(value) for value in snapshot.scalars.values())
        assert snapshot.knobs == losses.settings(recipe.loss)
        assert not (snapshot.gap > 0)[~snapshot.correct].any()  # What clears the margin is right.
    assert [int(snapshot.weights["step"]) for snapshot in snapshots] == steps
    assert "test_accuracy" in snapshots[0].scalars and "test_accuracy" in snapshots[-1].scalars


def test_the_test_accuracy_is_that_of_the_whole_test_part():
    recipe = small(epochs=2, probe=20)
    snapshots = list(train(recipe))
    assert [s.step for s in snapshots if "test_accuracy" in s.scalars] == [0, 12, 24]
    held_out = data.load("mnist", "test")
    right = snapshots[-1].scalars["test_accuracy"] * len(held_out)
    assert right == pytest.approx(round(right), abs=1e-3)


def test_training_learns():
    first, *_, last = train(small(per_class=100, epochs=6, classes=(0, 1, 2, 3)))
    assert last.scalars["test_accuracy"] > 0.9
    assert last.scalars["loss"] < first.scalars["loss"] / 4


def test_the_probe_is_fixed_and_the_same_for_every_class():
    recipe = small(classes=(3, 8, 0, 5), probe=80, seed=7)
    shown, again = probe(recipe), probe(recipe)
    np.testing.assert_array_equal(shown.images, again.images)
    assert shown.images.shape == (80, 28, 28) and shown.images.dtype == np.uint8
    assert shown.names == ("3", "8", "0", "5")
    for split, label in itertools.product((0, 1), range(4)):
        assert ((shown.split == split) & (shown.labels == label)).sum() == 10
    assert shown.total_steps == list(train(recipe))[-1].step


def test_the_probe_shows_what_it_says_it_does():
    recipe = small(classes=(3, 8), probe=20)
    shown = probe(recipe)
    pool = data.subset(data.load("mnist", "train"), (3, 8), SMALL["per_class"], recipe.seed)
    trained_on = {image.numpy().tobytes() for image in pool.images}
    assert [image.tobytes() in trained_on for image in shown.images] == (shown.split == 0).tolist()


def test_a_probe_larger_than_the_data_is_all_of_it():
    shown = probe(small(per_class=3, classes=(0, 1), probe=10_000))
    assert (shown.split == 0).sum() == 6 and (shown.split == 1).sum() > 100


def test_a_knob_turns_while_it_trains():
    recipe = small(loss=ArcFace(scale=16, margin=0.3))
    still, turning = list(train(recipe)), []
    training = train(recipe)
    turning.append(next(training))
    turning.append(next(training))
    turning.append(training.send({"margin": 0.0, "scale": 8}))
    turning.extend(training)
    assert [snapshot.knobs["margin"] for snapshot in turning] == [0.3, 0.3] + [0.0] * (len(turning) - 2)
    assert turning[2].knobs["scale"] == 8.0
    assert_same(still[1], turning[1])
    assert turning[2].scalars["loss"] < still[2].scalars["loss"] / 2
    assert recipe.loss.margin == 0.3


@pytest.mark.parametrize(("changes", "sentence"), [({"width": 1}, "no knob called 'width'"), ({"margin": 99}, "99")])
def test_a_bad_knob_is_refused_with_a_sentence(changes, sentence):
    training = train(small())
    next(training)
    with pytest.raises(ValueError, match=sentence):
        training.send(changes)


def test_leaving_the_loop_leaves_nothing_behind():
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    training = train(small(precision="bfloat16"))
    next(training), next(training)
    training.close()
    assert torch.equal(torch.get_rng_state(), before) and torch.get_num_threads() == threads
    assert torch.is_grad_enabled() and not torch.is_inference_mode_enabled() and not torch.is_autocast_enabled("cpu")
    assert list(training) == []


@pytest.mark.parametrize("rate", [1e9, 1e30])
def test_a_loss_that_is_no_number_ends_the_run_with_a_sentence(rate):
    kept = []
    with pytest.raises(
        Diverged, match=r"at step \d+, .* rate of 1e\+\d+: train again with a smaller one, such as 0.01"
    ):
        for snapshot in train(small(rate=rate, epochs=50, loss=Softmax())):
            kept.append(snapshot)
    assert kept and all(np.isfinite(snapshot.loss).all() for snapshot in kept)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_mixed_precision_learns_too(precision):
    *_, last = train(small(precision=precision, per_class=100, epochs=3, dim=8, classes=(0, 1, 2, 3)))
    assert last.scalars["test_accuracy"] > 0.9 and last.embedding.dtype == np.float32


@pytest.mark.parametrize(("dim", "angle_deg"), [(2, 30), (3, 50)])
def test_prototypes_begin_apart(dim, angle_deg):
    """Ten on a circle can be 36° apart, on a sphere 66°."""
    for seed in range(5):
        prototypes = next(train(small(dim=dim, seed=seed))).prototypes
        np.testing.assert_allclose(np.linalg.norm(prototypes, axis=1), 1, atol=1e-5)
        cosine = prototypes @ prototypes.T - 2 * np.eye(10)
        assert np.degrees(np.arccos(cosine.max())) > angle_deg


def test_many_prototypes_are_pushed_as_few_are():
    directions = F.normalize(torch.randn(300, 16, generator=torch.Generator().manual_seed(0)))
    torch.testing.assert_close(build.pushed_in_blocks(directions), build.pushed(directions), rtol=1e-4, atol=1e-3)


def test_so_many_people_begin_apart_that_all_pairs_would_fill_the_memory():
    directions = torch.randn(build.MANY + 1, 16, generator=torch.Generator().manual_seed(0))
    begun = build.apart(directions)
    torch.testing.assert_close(begun.norm(dim=1), torch.ones(len(begun)))
    assert nearest_deg(begun) > nearest_deg(F.normalize(directions)) + 1


def nearest_deg(directions: torch.Tensor) -> float:
    return (directions @ directions.T).fill_diagonal_(-1).max().acos().rad2deg().item()


def test_fewer_images_than_a_batch_are_one_batch():
    assert [snapshot.step for snapshot in train(small(per_class=4, batch=512, epochs=2))] == [0, 1, 2]


@pytest.mark.parametrize("total", [1, 7, 496, 9_375, 100_000])
def test_snapshots_are_dense_at_first_and_about_a_hundred(total):
    moments = sorted(snapshot_steps(total))
    gaps = np.diff([0, *moments])
    assert moments[-1] == total and min(total, 0.7 * SNAPSHOTS) <= len(moments) <= SNAPSHOTS + 6 + total / LONGEST
    assert gaps[0] <= 1 and gaps.max() <= min(LONGEST, max(1, 2 * total / SNAPSHOTS))


def test_the_rate_rises_and_then_falls_to_nothing():
    shares = [rate_share(done) for done in np.linspace(0, 1, 101)]
    assert max(shares) == 1 and shares[-1] == 0
    top = shares.index(1)
    assert shares[:top] == sorted(shares[:top]) and shares[top:] == sorted(shares[top:], reverse=True)


@pytest.mark.parametrize("model", ["mlp", "tiny"])
def test_a_trained_network_comes_back_from_its_run(tmp_path, model):
    recipe = small(model=model, loss=ArcFace(scale=16, margin=0.3))
    shown = probe(recipe)
    with RunWriter(tmp_path / "run", recipe, shown) as writer:
        with pytest.raises(RunError, match="not trained to its end"):
            restore(Run(tmp_path / "run"))
        training = train(recipe)
        writer.append(next(training))
        writer.append(training.send({"margin": 0.1}))
        for snapshot in training:
            writer.append(snapshot)
    network, head = restore(Run(tmp_path / "run"))
    with torch.no_grad():
        embedding = network(torch.from_numpy(shown.images)[:, None])
        loss = head(embedding, torch.from_numpy(shown.labels))
    np.testing.assert_allclose(embedding.numpy(), snapshot.embedding, atol=1e-5)
    np.testing.assert_allclose(loss.numpy(), snapshot.loss, atol=1e-4)
    assert head.loss.margin == 0.1


def test_the_newest_weights_are_had_while_training_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr("losslab.training.run.PACE", 0)
    recipe = small(loss=losses.starting("KappaFace"), later=((2, losses.starting("MarginLoss")),))
    shown = probe(recipe)
    images, labels = torch.from_numpy(shown.images)[:, None], torch.from_numpy(shown.labels)
    writer = RunWriter(tmp_path / "run", recipe, shown)
    follower = Run(tmp_path / "run")
    with pytest.raises(RunError, match="has no weights: wait until it trains"):
        restore(follower, newest=True)
    for snapshot in train(recipe):
        writer.append(snapshot)
        network, head, step = restore(follower, newest=True)
        assert step == snapshot.step == follower[-1].step and head.loss == in_force(recipe, snapshot)
        with torch.no_grad():
            embedding = network(images)
            np.testing.assert_allclose(embedding.numpy(), snapshot.embedding, atol=1e-5)
            np.testing.assert_allclose(head(embedding, labels).numpy(), snapshot.loss, atol=1e-4)
        if step < shown.total_steps:
            with pytest.raises(RunError, match="not trained to its end"):
                restore(follower)
    assert restore(follower)[1].loss == head.loss


def test_a_run_of_before_has_the_weights_of_its_last_snapshot(tmp_path):
    recipe = small()
    with RunWriter(tmp_path / "run", recipe, probe(recipe)) as writer:
        for snapshot in train(recipe):
            writer.append(dataclasses.replace(snapshot, weights=None))
    run = Run(tmp_path / "run")
    del snapshot.weights["step"]
    np.savez(tmp_path / "run" / "weights.npz", **snapshot.weights)
    network, head, step = restore(run, newest=True)
    assert step == snapshot.step and torch.equal(restore(run)[1].prototypes, head.prototypes)
    np.savez(tmp_path / "run" / "weights.npz", **snapshot.weights, step=np.array(77))
    with pytest.raises(RunError, match="has no weights"):
        restore(run, newest=True)


def test_a_schedule_sent_into_a_training_moves_its_knob_with_the_steps():
    training = train(small(loss=ArcFace(scale=16, margin=0.1)))
    next(training)
    snapshots = [training.send({"margin": "Linear(0, 0.3, 3)"}), *training]
    assert all(s.planned == {"margin": "Linear(0, 0.3, 3)"} for s in snapshots)
    assert [s.knobs["margin"] for s in snapshots] == pytest.approx([min(s.step / 3, 1) * 0.3 for s in snapshots])


def test_a_knob_that_shapes_what_is_learned_is_refused_in_the_middle():
    training = train(small(loss=losses.starting("CenterLoss")))
    next(training)
    with pytest.raises(ValueError, match="base cannot change while a training goes on"):
        training.send({"base": "ArcFace"})


def test_a_network_that_breaks_is_a_training_that_diverged(monkeypatch):
    training = train(small(dim=3, model="tiny"))
    next(training)
    broken = "losslab.models.tiny.Tiny.forward"
    monkeypatch.setattr(broken, lambda self, images: torch.full((len(images), 3), math.nan, requires_grad=True))
    with pytest.raises(Diverged, match="stopped being a finite number at step 1"):
        list(training)
