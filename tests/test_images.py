"""Long tails and wrong labels: what training is told, and what is true."""

import numpy as np
import torch

from losslab import data
from losslab.training import Recipe, Run, RunWriter, probe, thin, train
from losslab.training.images import load, long_tail, mislabelled


def small(**more):
    few = dict(model="mlp", classes=(3, 8, 0, 5), per_class=100, epochs=1, batch=32, probe=80, dim=2)
    return Recipe(**few | more)


def counts(part):
    return torch.bincount(part.labels, minlength=len(part.names)).tolist()


def test_without_either_everything_is_as_it_was():
    train_part, test_part = load(small())
    before = data.subset(data.load("mnist", "train"), (3, 8, 0, 5), 100, 0)
    assert torch.equal(train_part.images, before.images) and torch.equal(train_part.labels, before.labels)
    for part in (train_part, test_part):
        assert torch.equal(part.truth, part.labels)


def test_a_long_tail_falls_by_the_same_factor_from_class_to_class():
    train_part, test_part = load(small(imbalance=8))
    assert counts(train_part) == [100, 50, 25, 12]
    assert torch.equal(test_part.images, load(small())[1].images)
    assert counts(load(small(imbalance=100, per_class=20))[0]) == [20, 4, 2, 2], "at least two"
    assert counts(load(small(imbalance=100, per_class=1))[0]) == [1, 1, 1, 1], "there are no more"


def test_a_longer_tail_keeps_some_of_a_shorter_and_the_seed_says_which():
    labels = torch.randint(4, (1000,), generator=torch.Generator().manual_seed(0))
    whole, some, few = (set(long_tail(labels, 4, by, 5).tolist()) for by in (1, 3, 50))
    assert few < some < whole == set(range(1000))
    again, other = long_tail(labels, 4, 3, 5).tolist(), long_tail(labels, 4, 3, 6).tolist()
    assert set(again) == some != set(other) and again == sorted(again)


def test_noise_gives_its_share_of_the_images_the_label_of_another_class():
    train_part, test_part = load(small(noise=0.25))
    wrong = train_part.labels != train_part.truth
    assert wrong.sum() == 100 and train_part.labels.min() >= 0 and train_part.labels.max() <= 3
    assert all(len(train_part.labels[wrong & (train_part.truth == k)].unique()) == 3 for k in range(4))
    assert torch.equal(train_part.truth, load(small())[0].labels)
    assert torch.equal(test_part.labels, test_part.truth) and torch.equal(test_part.labels, load(small())[1].labels)


def test_more_noise_adds_to_less():
    labels = torch.arange(1000) % 5
    some, more = (mislabelled(labels, 5, share, 3) for share in (0.2, 0.6))
    changed = some != labels
    assert changed.sum() == 200 and (more != labels).sum() == 600 and torch.equal(more[changed], some[changed])
    assert not torch.equal(some, mislabelled(labels, 5, 0.2, 4))


def test_both_at_once_and_every_training_step_is_told_the_same():
    recipe = small(imbalance=10, noise=0.3)
    first, second = load(recipe)[0], load(recipe)[0]
    assert torch.equal(first.labels, second.labels) and torch.equal(first.images, second.images)
    assert (first.labels != first.truth).sum() == round(0.3 * len(first))
    left, right = ([s.embedding for s in train(recipe)] for _ in range(2))
    np.testing.assert_array_equal(left, right)


def test_the_probe_tells_what_training_was_told_and_what_is_true(tmp_path):
    recipe = small(noise=0.4, probe=200)
    shown, clean = probe(recipe), probe(small(probe=200))
    held_out = shown.split == 1
    np.testing.assert_array_equal(shown.labels[held_out], shown.truth[held_out])
    share = (shown.labels != shown.truth)[~held_out].mean()
    assert 0.2 < share < 0.6, "the probe is drawn without regard to who is labelled wrongly"
    assert np.bincount(shown.labels[~held_out]).tolist() == [25] * 4, "as many of each class, as told"
    np.testing.assert_array_equal(clean.labels, clean.truth)
    by_image = {image.numpy().tobytes(): int(label) for image, label in zip(*whole_of(recipe), strict=True)}
    assert [by_image[image.tobytes()] for image in shown.images] == shown.truth.tolist()

    with RunWriter(tmp_path / "run", recipe, shown) as writer:
        writer.append(next(train(recipe)))
    run = Run(tmp_path / "run")
    np.testing.assert_array_equal(run.probe.truth, shown.truth)
    thin(run, tmp_path / "thin", samples=50)
    small_one = Run(tmp_path / "thin").probe
    assert len(small_one.truth) == len(small_one.labels) == 50
    kept = [np.flatnonzero((shown.images == image).all((1, 2)))[0] for image in small_one.images]
    np.testing.assert_array_equal(small_one.truth, shown.truth[kept])


def whole_of(recipe):
    parts = load(recipe)
    return torch.cat([part.images[:, 0] for part in parts]), torch.cat([part.truth for part in parts])


def test_a_probe_of_before_has_nothing_but_true_labels(tmp_path):
    recipe = small()
    RunWriter(tmp_path / "run", recipe, probe(recipe)).close()
    with np.load(tmp_path / "run" / "probe.npz") as stored:
        np.savez(tmp_path / "run" / "probe.npz", **{name: stored[name] for name in stored if name != "truth"})
    shown = Run(tmp_path / "run").probe
    np.testing.assert_array_equal(shown.truth, shown.labels)


def test_a_probe_of_a_long_tail_takes_what_there_is():
    """The rare classes give all that they have, the frequent ones share what is left."""
    shown = probe(small(imbalance=50, probe=200, per_class=93))
    assert np.bincount(shown.labels[shown.split == 0]).tolist() == [66, 25, 7, 2]
    assert np.bincount(shown.labels[shown.split == 1]).tolist() == [25] * 4


def test_the_test_part_is_judged_by_true_labels_and_training_by_what_it_was_told():
    recipe = small(noise=0.3, per_class=400, epochs=8, probe=400, dim=8)
    *_, last = train(recipe)
    assert last.scalars["test_accuracy"] > 0.9 and last.scalars["train_accuracy"] < 0.75
    shown = probe(recipe)
    wrong = shown.labels != shown.truth
    assert wrong.any() and last.correct[wrong].mean() < 0.2 and last.correct[~wrong].mean() > 0.9
