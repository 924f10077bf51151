"""Subsets of faces: who is chosen, what they become, and the cache that keeps them."""

import dataclasses
import json
import os
import shutil

import numpy as np
import pytest
import torch
from face_cases import REAL, face, people, real, sentence
from PIL import Image

from losslab.data import DataError
from losslab.data.faces import FaceSubset, folders, load, open_source, sources, subset
from losslab.data.faces.convert import WRITERS, convert
from losslab.data.faces.subset import choose

COUNTS = (5, 1, 4, 9, 2, 6, 3, 8, 1, 7, 5, 4)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    folders.write_faces(folder / "faces", people(COUNTS))
    return folder


@pytest.fixture
def source(data):
    return open_source("faces", data)


def of(**knobs):
    return FaceSubset(**{"source": "faces", "identities": 4, "held_out": 2, "size": 32, **knobs})


def parts(loaded):
    return loaded.train, loaded.test, loaded.unseen


def in_memory(loaded):
    """The same, but no longer in the cache: these tests write over the files of it."""
    own = [dataclasses.replace(part, images=part.images.clone()) for part in parts(loaded)]
    return dataclasses.replace(loaded, train=own[0], test=own[1], unseen=own[2])


def same(one, other):
    return all(
        torch.equal(a.images, b.images) and torch.equal(a.labels, b.labels)
        for a, b in zip(parts(one), parts(other), strict=True)
    )


# -- who is chosen -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("minimum", [1, 2, 4])
def test_nobody_is_both_trained_and_held_out_and_no_image_is_in_two_parts(source, seed, minimum):
    train, test, unseen = choose(of(seed=seed, minimum=minimum, held_out=3), source)
    assert train.names == test.names and len(train.names) == 4 and len(unseen.names) == 3
    assert not set(train.names) & set(unseen.names)
    everything = np.concatenate([train.images, test.images, unseen.images])
    assert len(set(everything.tolist())) == len(everything)
    for part in (train, test, unseen):
        assert [source.names[at] for at in source.labels[part.images]] == [part.names[label] for label in part.labels]
        assert all(COUNTS[int(name[1:])] >= minimum for name in part.names)
    assert sorted(set(train.labels.tolist())) == [0, 1, 2, 3]
    assert sorted(set(unseen.labels.tolist())) == [0, 1, 2] and np.bincount(unseen.labels).min() >= 2


def test_the_share_for_the_test_is_at_least_one_image_and_never_all(source):
    train, test, _ = choose(of(identities=9, held_out=0, minimum=1, test_share=0.2), source)
    for label, name in enumerate(train.names):
        n, held = COUNTS[int(name[1:])], int((test.labels == label).sum())
        assert held == (max(1, round(0.2 * n)) if n > 1 else 0) and (train.labels == label).sum() == n - held
    assert len(choose(of(test_share=0.0), source)[1].images) == 0


def test_more_people_extend_fewer_and_more_images_extend_fewer(source):
    few, many = (choose(of(identities=n), source) for n in (3, 6))
    assert many[0].names[:3] == few[0].names and many[2].names == few[2].names
    assert set(few[0].images) <= set(many[0].images)
    some, more = (choose(of(per_identity=n, test_share=0), source)[0].images for n in (2, 3))
    assert set(some) < set(more)
    assert np.bincount(choose(of(per_identity=3, test_share=0), source)[0].labels).max() == 3


def test_a_seed_decides_the_draw(source):
    first, again, other = (choose(of(seed=seed), source) for seed in (1, 1, 2))
    assert first[0].names == again[0].names and first[2].names == again[2].names
    np.testing.assert_array_equal(first[0].images, again[0].images)
    assert first[0].names != other[0].names


@pytest.mark.parametrize(
    "knobs", [{"identities": 11}, {"held_out": 11}, {"minimum": 9}, {"identities": 8, "held_out": 3}]
)
def test_too_few_people_are_a_sentence_before_any_work(data, knobs):
    with pytest.raises(DataError, match="people with at least .* ask for fewer people, or a smaller minimum") as error:
        load(of(**knobs), data, progress=lambda *_: pytest.fail("it decodes"))
    assert "faces" in sentence(error)


def test_people_with_one_image_are_never_held_out(source):
    unseen = choose(of(identities=2, held_out=10, minimum=1), source)[2]
    assert len(unseen.names) == 10 and np.bincount(unseen.labels).min() >= 2
    with pytest.raises(DataError, match=r"12 people with at least 1 images \(10 with two or more\)"):
        choose(of(identities=2, held_out=11, minimum=1), source)


@pytest.mark.parametrize(
    "knobs,word",
    [
        ({"size": 31}, "size"),
        ({"size": 113}, "size"),
        ({"identities": 1}, "identities"),
        ({"held_out": -1}, "held_out"),
        ({"crop": 0.6}, "crop"),
        ({"test_share": 0.7}, "test_share"),
        ({"minimum": 0}, "minimum"),
        ({"crop": "Linear(0, 0.5, 1000)"}, "crop"),
        ({"grey": 1}, "grey"),
        ({"seed": 0.5}, "seed"),
        ({"source": None}, "source"),
    ],
)
def test_a_knob_out_of_range_is_a_sentence(knobs, word):
    with pytest.raises(ValueError, match=f"^{word} is") as error:
        of(**knobs)
    sentence(error)


def test_equal_subsets_are_equal():
    assert of(crop=0, identities=4.0) == of() and hash(of(crop=0)) == hash(of())


# -- what they become --------------------------------------------------------------------------------------


@pytest.mark.parametrize("grey", [True, False])
def test_images_are_squares_of_bytes(data, grey):
    told = []
    made = load(of(grey=grey, size=40), data, lambda *done: told.append(done))
    for part in parts(made):
        assert part.images.shape[1:] == (1 if grey else 3, 40, 40) and part.images.dtype == torch.uint8
        assert part.labels.dtype == torch.int64 and len(part.labels) == len(part.images)
        assert part.labels.max() < len(part.names)
    total = sum(len(part.labels) for part in parts(made))
    assert told == [(n, total) for n in range(1, total + 1)] and made.left_out == ()


def test_pixels_are_those_of_the_file_in_rgb(tmp_path):
    levels = np.random.default_rng(0).integers(0, 256, (6, 40, 48, 3), dtype=np.uint8)
    for at, image in enumerate(levels):
        path = tmp_path / f"x/p{at // 2}/{at}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    made = load(of(source="x", identities=3, held_out=0, size=40, test_share=0), tmp_path)
    found = {each.tobytes() for each in made.train.images.numpy()}
    assert found == {image[:, 4:44].transpose(2, 0, 1).tobytes() for image in levels}


@real
@pytest.mark.parametrize("name", ["images", "casia_format"])
def test_each_format_gives_the_same_pixels(tmp_path, name):
    with open_source(name, REAL) as source:
        for form in WRITERS:
            convert(source, form, tmp_path / form, lambda *_: None)
    made = [load(FaceSubset(source=each, size=32, seed=3, crop=0.1), tmp_path) for each in sources(tmp_path)]
    assert len(made) == 3 and same(made[0], made[1]) and same(made[0], made[2])
    assert len(made[0].train) == 20 * 8 and len(made[0].test) == 20 * 2 and len(made[0].unseen) == 8 * 10


def test_what_cannot_be_decoded_is_left_out_and_said(tmp_path):
    folders.write_faces(tmp_path / "faces", people((4,) * 5))
    (tmp_path / "faces/p0/000002.png").write_bytes(b"no image")
    (tmp_path / "faces/p3/000001.png").write_bytes(face(3, 1)[:50])
    whole = of(identities=3, held_out=2)
    for made in (load(whole, tmp_path), load(whole, tmp_path)):  # decoded, and from the cache
        assert sum(len(part) for part in parts(made)) == 18 and len(made.left_out) == 2
        assert all("faces/p" in sentence(each) for each in made.left_out)
        for part in parts(made):
            assert len(part.images) == len(part.labels)


def test_nothing_to_train_on_is_a_sentence(tmp_path):
    folders.write_faces(tmp_path / "faces", people((2,) * 6))
    for at in range(6):
        (tmp_path / f"faces/p{at}/000000.png").write_bytes(b"no image")
    chosen = of(test_share=0)
    assert len(load(chosen, tmp_path).train) == 4
    (tmp_path / "faces/p1/000001.png").write_bytes(b"no image")
    with pytest.raises(DataError, match="no training image can be decoded") as error:
        load(of(identities=6, held_out=0, test_share=0), tmp_path)
    sentence(error)
    for at in range(6):
        (tmp_path / f"faces/p{at}/000001.png").write_bytes(b"no image")
    with pytest.raises(DataError, match="None of the 12 images can be decoded"):
        load(chosen, tmp_path)


def test_more_than_memory_is_refused_before_any_work(data, monkeypatch):
    monkeypatch.setattr(subset, "available_memory", lambda: 10_000.0)
    with pytest.raises(DataError, match="GiB of memory are free") as error:
        load(of(size=111), data, progress=lambda *_: pytest.fail("it decodes"))
    sentence(error)
    assert subset.available_memory.__name__ == "<lambda>"


def test_the_memory_of_this_machine_is_known():
    assert subset.available_memory() > 1 << 20


# -- the cache ---------------------------------------------------------------------------------------------


def kept(folder):
    return {path.name: path.read_bytes() for path in (folder / "decoded").iterdir()}


@pytest.fixture
def own(tmp_path):
    folders.write_faces(tmp_path / "faces", people((4,) * 6))
    return tmp_path


def test_a_second_time_nothing_is_decoded(own, monkeypatch):
    first = load(of(), own)
    files = kept(own)
    assert sorted(name.split(".")[1] for name in files) == ["json", "npy"]
    monkeypatch.setattr(folders.Folders, "payload", lambda *_: pytest.fail("it decodes"))
    assert same(load(of(), own), first) and kept(own) == files


def test_the_same_faces_give_the_same_bytes(own):
    load(of(), own)
    files = kept(own)
    for name in files:
        (own / "decoded" / name).unlink()
    load(of(), own)
    assert kept(own) == files


def test_changed_faces_or_knobs_are_decoded_anew(own):
    first = load(of(), own)
    for image in (own / "faces").rglob("*.png"):
        image.write_bytes(face(99, 0, side=6))
    assert not same(load(of(), own), first) and len(kept(own)) == 4
    for knobs in ({"size": 48}, {"grey": True}, {"crop": 0.2}, {"seed": 1}):
        before = len(kept(own))
        load(of(**knobs), own)
        assert len(kept(own)) == before + 2, knobs


@pytest.mark.parametrize("damage", ["npy cut", "npy nonsense", "json cut", "json other", "json list", "npy gone"])
def test_a_damaged_cache_is_made_anew(own, damage):
    first = in_memory(load(of(), own))
    what, how = damage.split()
    (path,) = (own / "decoded").glob(f"*.{what}")
    said = path.read_bytes()
    if how == "gone":
        path.unlink()
    else:
        path.write_bytes(
            {"cut": said[:-5], "nonsense": b"x" * 200, "other": b'{"left_out": {"0": "x"}}', "list": b"[]"}[how]
        )
    assert same(load(of(), own), first)
    assert path.read_bytes() == said


def test_a_pickle_in_the_cache_is_never_loaded(own):
    first = in_memory(load(of(), own))
    (path,) = (own / "decoded").glob("*.npy")
    np.save(path, np.array([{"x": 1}], dtype=object), allow_pickle=True)
    assert same(load(of(), own), first)


def test_what_breaks_off_leaves_no_cache(own):
    def stop(done, total):
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load(of(), own, stop)
    assert not list((own / "decoded").iterdir())


def test_changing_what_was_loaded_changes_nobody_elses(own):
    first = load(of(), own)
    first.train.images.zero_()
    assert load(of(), own).train.images.max() > 0


def test_a_cache_that_cannot_be_written_is_a_sentence(own):
    (own / "decoded").write_text("in the way")
    with pytest.raises(DataError, match="cannot be") as error:
        load(of(), own)
    sentence(error)


def test_a_source_may_be_given_open(own):
    with open_source("faces", own) as source:
        assert same(load(dataclasses.replace(of(), source=""), own, source=source), load(of(), own))


def test_no_such_source_is_a_sentence(own):
    with pytest.raises(DataError, match="There are no faces called 'casia'") as error:
        load(of(source="casia"), own)
    assert json.dumps(sentence(error))


def test_a_data_folder_that_may_only_be_read_is_left_as_it_is(own, tmp_path_factory, monkeypatch):
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    expected = in_memory(load(of(), own))
    shutil.rmtree(own / "decoded")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert same(load(of(), own), expected)
    assert len(list((home / ".cache/losslab/decoded").iterdir())) == 2 and not list((own / "decoded").iterdir())
