"""The images of a step are the same for any number of processes and workers, and from any step on."""

import dataclasses

import numpy as np
import pytest
import torch
from face_cases import in_each_format, people, real, sentence
from scale_cases import SMOOTH

from losslab import Triplet
from losslab.data.faces import open_source
from losslab.data.faces.convert import WRITERS
from losslab.scale.loader import LEFT_OUT, Faces, Order, loader

RECIPE = dataclasses.replace(SMOOTH, epochs=3, batch=12, parts=2)
ALL = np.random.default_rng(0).integers(0, 40, 1000)  # labels


@pytest.mark.parametrize("size", [1, 2, 3, 6])
def test_processes_share_the_same_batches(size):
    whole = list(Order(RECIPE, ALL[:50]))
    shares = [list(Order(RECIPE, ALL[:50], rank=rank, size=size)) for rank in range(size)]
    assert [sum(parts, []) for parts in zip(*shares, strict=True)] == whole
    assert len(whole) == len(Order(RECIPE, ALL[:50])) == 3 * 4 * 2


def test_each_epoch_sees_images_once_in_another_order_and_half_of_them_mirrored():
    order = Order(dataclasses.replace(RECIPE, batch=10, parts=1), ALL)
    epochs = [sum((order.of(epoch * 100 + step) for step in range(1, 101)), []) for epoch in range(2)]
    assert all(sorted(index for index, _ in epoch) == list(range(1000)) for epoch in epochs)
    assert epochs[0] != epochs[1] and all(400 < sum(turned for _, turned in epoch) < 600 for epoch in epochs)
    other = Order(dataclasses.replace(RECIPE, batch=10, parts=1, seed=1), ALL)
    assert other.of(1) != order.of(1)


@pytest.mark.parametrize("after", [0, 1, 4, 7, 12])
def test_it_goes_on_from_any_step(after):
    assert list(Order(RECIPE, ALL[:50], after=after)) == list(Order(RECIPE, ALL[:50]))[after * RECIPE.parts :]


def test_groups_are_whole_of_one_identity_and_drawn_anew_in_each_epoch():
    labels = np.repeat(np.arange(12), [7] * 8 + [2, 3, 4, 1])  # four of a group: some have more, some fewer
    order = Order(dataclasses.replace(RECIPE, loss=Triplet(), grouped=4, parts=1), labels)
    assert order.per_epoch == 12 * 4 // 12
    epochs = [sum((order.of(epoch * 4 + step) for step in range(1, 5)), []) for epoch in range(3)]
    for epoch in epochs:
        groups = np.array([image for image, _ in epoch]).reshape(-1, 4)
        assert (labels[groups] == labels[groups[:, :1]]).all() and sorted(labels[groups[:, 0]]) == list(range(12))
        assert [len(set(group)) for group in groups[labels[groups[:, 0]].argsort()]] == [4] * 8 + [2, 3, 4, 1]
    assert epochs[0] != epochs[1] and len({image for epoch in epochs for image, _ in epoch}) > 12 * 4 - 6
    twice = Order(order.recipe, np.repeat(np.arange(3), 8))
    assert sorted(image for step in (1, 2) for image, _ in twice.of(step)) == list(range(24))  # each image once


def test_a_batch_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="fewer than a batch of 12") as refused:
        Order(RECIPE, ALL[:11])
    sentence(refused)
    with pytest.raises(ValueError, match="8 images in groups of 4, fewer than a batch of 12"):
        Order(dataclasses.replace(RECIPE, parts=1, grouped=4), np.repeat([0, 1], 7))
    with pytest.raises(ValueError, match="2 parts of 4 processes") as refused:
        Order(RECIPE, ALL[:50], size=4)
    sentence(refused)


@pytest.fixture
def source(tmp_path):
    (tmp_path / "faces").mkdir()
    WRITERS["recordio"](tmp_path / "faces", people([7, 8, 9], 48))
    return open_source("faces", tmp_path)


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_workers_change_nothing(source, workers):
    recipe = dataclasses.replace(RECIPE, epochs=1, batch=6)
    read = loader(Faces(source, recipe), Order(recipe, ALL[:24]), workers=workers, pinned=False, timeout=60)
    found = [(images, labels) for images, labels, left_out in read if not left_out]
    faces = Faces(source, recipe)
    for (images, labels), share in zip(found, Order(recipe, ALL[:24]), strict=True):
        assert images.dtype == torch.uint8 and labels.tolist() == [source.labels[index] for index, _ in share]
        assert all(
            np.array_equal(image, faces.image(index, turned))
            for image, (index, turned) in zip(images, share, strict=True)
        )


def test_colours_and_mirror(source):
    rgb, bgr, grey = (Faces(source, dataclasses.replace(RECIPE, colour=each)) for each in ("rgb", "bgr", "grey"))
    image = rgb.image(0)
    assert image.shape == (3, 32, 32) and grey.image(0).shape == (1, 32, 32)
    assert np.array_equal(bgr.image(0), image[::-1]) and np.array_equal(rgb.image(0, True), image[:, :, ::-1])


def test_an_image_that_cannot_be_decoded_is_left_out(tmp_path):
    WRITERS["folders"](tmp_path / "faces", people([3, 3], 48))
    broken = sorted((tmp_path / "faces").rglob("*.png"))[2]
    broken.write_bytes(broken.read_bytes()[:60])
    source = open_source("faces", tmp_path)
    images, labels, left_out = Faces(source, RECIPE).__getitems__([(index, False) for index in range(6)])
    assert labels.tolist() == [0, 0, LEFT_OUT, 1, 1, 1] and not images[2].any() and images[3].any()
    assert len(left_out) == 1 and broken.name in sentence(left_out[0])


@real
def test_each_format_gives_the_same_batches(tmp_path):
    in_each_format(tmp_path)
    recipe = dataclasses.replace(RECIPE, batch=40, parts=1)
    batches = []
    for kind in ("folders", "recordio", "shards"):
        source = open_source(kind, tmp_path)
        faces = Faces(source, recipe)
        batches.append(faces.__getitems__(Order(recipe, source.labels).of(3)))
    for images, labels, _ in batches[1:]:
        assert torch.equal(images, batches[0][0]) and torch.equal(labels, batches[0][1])
