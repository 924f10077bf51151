"""The presets of the page Margin samples say of their runs what is true: here of small ones."""

import dataclasses

import numpy as np
import pytest

from losslab.training import probe, train
from pages.parts import samples


@pytest.fixture(scope="module")
def trained():
    """Preset -> its probe and its last snapshot, trained on fewer images."""
    made = {}
    for preset in samples.PRESETS:
        recipe = dataclasses.replace(preset.recipe, per_class=300, epochs=5, batch=64, probe=600)
        *_, last = train(recipe)
        made[preset.title] = probe(recipe), last
    return made


def test_mislabelled_images_stay_wrong_and_the_test_images_are_told_apart(trained):
    shown, last = trained["A fifth of the labels is wrong"]
    bad = shown.truth != shown.labels
    assert 0.15 < bad[shown.split == 0].mean() < 0.25
    assert (~last.correct[bad]).mean() > 0.9
    assert last.correct[shown.split == 1].mean() > 0.8
    nearest = (last.embedding @ last.prototypes.T).argmax(1)
    assert (nearest[bad] == shown.truth[bad]).mean() > 0.7, "it sees what they really are"


def test_small_classes_get_the_wider_margin_and_rarely_clear_it(trained):
    shown, last = trained["Few images of some classes"]
    psi, clear = last.memory["psi"], (last.gap > 0) & last.correct
    assert psi[-3:].min() > psi[:3].max()
    assert clear[shown.labels >= 7].mean() < 0.5
    assert clear[shown.labels <= 2].mean() > 0.8


def test_a_margin_without_room_leaves_nearly_all_inside_and_does_no_harm(trained):
    shown, last = trained["A margin that nobody can clear"]
    assert (last.gap > 0).mean() < 0.1
    assert last.correct.mean() > 0.9
    direction = last.prototypes / np.linalg.norm(last.prototypes, axis=1, keepdims=True)
    between = np.degrees(np.arccos(np.clip(direction @ direction.T - 2 * np.eye(10), -1, 1)))
    assert between.min() < 66.2


@pytest.mark.parametrize(
    ("text", "number"), [("12", 12), ("0", 0), (None, None), ("", None), ("-1", None), ("x", None), ("²", None)]
)
def test_a_link_says_numbers_or_nothing(text, number):
    assert samples.whole(text) == number
