"""The numbers of a run: right where they can be worked out by hand, and there for every run."""

import math

import numpy as np
import pytest
import torch

from losslab import ArcFace, SubCenterArcFace, Triplet, data, metrics
from losslab.geometry import circle, exp_map
from losslab.losses import starting
from losslab.metrics import COLUMNS, Numbers, anisotropy, numbers, stretch
from losslab.training import Probe, Recipe, Run, RunError, RunWriter, Snapshot, probe, restore, train
from losslab.verification import equal_error_rate

DEGREE = math.pi / 180


# -- round or stretched ----------------------------------------------------------------------------------


def heap(*widths, n=400):
    """Samples around (0, …, 1), symmetric, as wide as this in each direction."""
    dim = len(widths) + 1
    at = torch.eye(dim, dtype=torch.float64)[-1]
    step = torch.zeros(n, dim, dtype=torch.float64)
    step[:, :-1] = torch.randn(n, dim - 1, generator=torch.Generator().manual_seed(0)).double() * torch.tensor(widths)
    step = torch.cat([step, -step])
    return exp_map(step, at.expand_as(step))


def test_a_round_class_is_not_stretched():
    ring = torch.cat([0.1 * circle(12).double(), torch.zeros(12, 1)], 1)
    assert stretch(exp_map(ring, torch.tensor([0.0, 0, 1]).double().expand_as(ring))) == pytest.approx(1)
    assert stretch(heap(0.1, 0.1, 0.1, n=20_000)) == pytest.approx(1, abs=0.03)


def test_a_stretched_class_is_as_stretched_as_it_is():
    """Variances 4, 1, 1 in three directions: 4 over their mean 2."""
    assert stretch(heap(0.2, 0.1, 0.1, n=20_000)) == pytest.approx(2, abs=0.05)


def test_turning_a_class_changes_nothing():
    turn = torch.linalg.qr(torch.randn(4, 4, generator=torch.Generator().manual_seed(1)).double())[0]
    wide = heap(0.3, 0.1, 0.2)
    assert stretch(wide @ turn) == pytest.approx(stretch(wide))


def test_on_a_circle_one_side_is_compared_with_the_other():
    deviation = torch.tensor([-0.1, -0.1, -0.1, 0.3]).double()  # the mean direction is not quite the mean angle
    place = torch.stack([deviation.cos(), deviation.sin()], 1)
    mean = math.atan2(place[:, 1].sum(), place[:, 0].sum())
    assert stretch(place) == pytest.approx((0.3 - mean) / (0.1 + mean))
    assert stretch(place * torch.tensor([1.0, -1]).double()) == pytest.approx(stretch(place))
    even = torch.tensor([-0.2, -0.1, 0.1, 0.2]).double()
    assert stretch(torch.stack([even.cos(), even.sin()], 1)) == pytest.approx(1)


@pytest.mark.parametrize("dim", [2, 3, 5])
def test_too_few_samples_have_no_shape(dim):
    point = torch.eye(dim, dtype=torch.float64)[:1]
    assert stretch(point) is None
    assert stretch(point.expand(5, dim)) is None
    assert anisotropy(point, torch.zeros(1, dtype=torch.long)) is None


def test_classes_without_a_shape_are_passed_over():
    wide = heap(0.2, 0.1, 0.1)
    direction = torch.cat([wide, wide[:1]])
    label = torch.tensor([0] * len(wide) + [3])
    assert anisotropy(direction, label) == stretch(wide)


# -- of a run --------------------------------------------------------------------------------------------


def a_run(path, loss, embedding, prototypes, labels, gap=None, classes=3, scalars=()):
    """A run of one snapshot, its samples half trained on and half held out: the first half is nonsense."""
    n, d = embedding.shape
    recipe = Recipe(loss=loss, classes=tuple(range(classes)), dim=d)
    shown = Probe(
        images=np.zeros((2 * n, 28, 28), dtype=np.uint8),
        labels=np.concatenate([labels, labels]),
        split=np.repeat(np.array([0, 1], dtype=np.uint8), n),
        names=tuple("012"[:classes]),
    )
    nonsense = np.ones_like(embedding)
    with RunWriter(path, recipe, shown) as writer:
        for values in scalars or ({"test_accuracy": 0.5},):
            writer.append(
                Snapshot(
                    step=1,
                    embedding=np.concatenate([nonsense, embedding]).astype(np.float32),
                    prototypes=np.asarray(prototypes, dtype=np.float32),
                    loss=np.zeros(2 * n, dtype=np.float32),
                    gap=np.concatenate([np.ones(n), np.ones(n) if gap is None else gap]).astype(np.float32),
                    correct=np.ones(2 * n, dtype=bool),
                    scalars=values,
                    knobs={},
                )
            )
    return Run(path)


def at(*degrees):
    return np.array([[math.cos(each * DEGREE), math.sin(each * DEGREE)] for each in degrees])


def test_numbers_by_hand(tmp_path):
    """Prototypes at 0, 40 and 180 degrees; two samples of each class at 10 and 20, 4 times as long."""
    labels = np.array([0, 0, 1, 1, 2, 2])
    run = a_run(
        tmp_path / "run",
        ArcFace(),
        4 * at(10, -20, 50, 20, 190, 160),
        3 * at(0, 40, 180),
        labels,
        gap=[1, 0, -1, 0.5, 2, 3],
        scalars=({"test_accuracy": 0.25}, {"test_accuracy": 0.75}, {"loss": 1.0}),
    )
    found = numbers(run)
    assert found.test_accuracy == 0.75  # the last that was measured
    assert found.intra_deg == pytest.approx(15, abs=1e-4)
    assert found.nearest_deg == pytest.approx((40, 40, 140), abs=1e-4)
    assert found.inter_deg == pytest.approx(220 / 3, abs=1e-4)
    assert found.clear == pytest.approx(4 / 6)
    assert found.anisotropy == pytest.approx(1, abs=1e-4)
    assert found.eer is None and "has no trained network" in found.eer_reason


def test_with_several_prototypes_the_nearest_counts(tmp_path):
    prototypes = at(0, 30, 90, 100, 200, 250)  # two of each class
    run = a_run(tmp_path / "run", SubCenterArcFace(subcentres=2), at(31, 89, 255), prototypes, np.array([0, 1, 2]))
    found = numbers(run)
    assert found.intra_deg == pytest.approx(1, abs=1e-4)
    assert found.nearest_deg == pytest.approx((60, 60, 100), abs=1e-4)
    assert found.anisotropy is None  # one sample of each


def test_a_run_that_has_not_begun(tmp_path):
    recipe = Recipe()
    shown = Probe(np.zeros((1, 2, 2), np.uint8), np.zeros(1, np.int64), np.ones(1, np.uint8), ("a",))
    with RunWriter(tmp_path / "run", recipe, shown):
        pass
    with pytest.raises(RunError, match="has not begun"):
        numbers(Run(tmp_path / "run"))


def trained(path, **changes):
    recipe = Recipe(**({"epochs": 1, "per_class": 40, "probe": 60, "batch": 40} | changes))
    with RunWriter(path, recipe, probe(recipe)) as writer:
        for snapshot in train(recipe, device="cpu"):
            writer.append(snapshot)
    return Run(path)


@pytest.mark.parametrize(
    "changes",
    [{"dim": 2}, {"dim": 3}, {"dim": 16, "loss": starting("SubCenterArcFace")}, {"loss": starting(Triplet)}],
    ids=str,
)
def test_a_trained_run_has_all_numbers(tmp_path, changes):
    run = trained(tmp_path / "run", classes=(0, 1, 2, 3, 4), **changes)
    found = numbers(run)
    assert 0 < found.test_accuracy <= 1
    assert 0 < found.intra_deg < 120 and len(found.nearest_deg) == 5 and found.anisotropy >= 1
    assert 0 < found.eer < 0.6 and not found.eer_reason
    assert found == numbers(run)  # nothing in it is left to chance


def test_unseen_classes_are_told_apart_by_the_trained_network(tmp_path, monkeypatch):
    """The same as counting every pair one by one."""
    monkeypatch.setattr(metrics, "PER_CLASS", 6)
    run = trained(tmp_path / "run", classes=(0, 1, 2, 3, 4, 5, 6))
    images = data.subset(data.load("mnist", "test"), [7, 8, 9], 6, run.recipe.seed)
    model, _ = restore(run)
    with torch.no_grad():
        embedding = model(images.images).double()
    genuine, impostor = [], []
    for i in range(len(images)):
        for j in range(i):
            score = torch.cosine_similarity(embedding[i], embedding[j], dim=0).item()
            (genuine if images.labels[i] == images.labels[j] else impostor).append(score)
    assert len(genuine) == 3 * 15 and len(impostor) == 3 * 36
    assert numbers(run).eer == pytest.approx(equal_error_rate(genuine, impostor), abs=0.01)


@pytest.mark.parametrize(("classes", "few"), [(10, "all classes:"), (9, "all classes but one:")])
def test_where_nothing_is_left_to_compare_it_says_so(tmp_path, classes, few):
    found = numbers(trained(tmp_path / "run", classes=tuple(range(classes)), per_class=8, probe=20))
    assert found.eer is None and few in found.eer_reason and "leave out two or more" in found.eer_reason


def test_columns_read_the_numbers():
    found = Numbers(0.974, 12.34, 71.0, (71.0, 71.0), 0.5, 1.234, None, "why")
    assert [column.text(found) for column in COLUMNS] == ["97.4 %", "12.3°", "71.0°", "50.0 %", "1.23", "–"]
    assert all(column.says.endswith(".") and column.label for column in COLUMNS)
