"""Data sets load exactly and quickly, and what is missing or damaged is said in one sentence."""

import gzip
import os
import struct

import numpy as np
import pytest
import torch

from losslab import data
from losslab.data import DataError, Images, base, mnist
from losslab.data.fashion import Fashion
from losslab.data.idx import read_idx
from losslab.data.mnist_full import MnistFull

MNIST_COUNTS = torch.tensor([1001, 1127, 991, 1032, 980, 863, 1014, 1070, 944, 978])
DEBIAN = Fashion.system[0]
SMALL = {"train": 30, "test": 20}


class SmallFashion(Fashion):
    """Fashion-MNIST as these tests write it: few images, and no copy that the machine happens to have."""

    sizes = SMALL
    system = ()


class SmallMnist(MnistFull):
    sizes = SMALL


def idx(array, type_code=0x08):
    return bytes((0, 0, type_code, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def contents(dataset=SmallFashion, sizes=SMALL):
    """The four IDX files of a small data set: file stem -> bytes."""
    random = np.random.default_rng(0)
    files = {}
    for split, stem in (("train", "train"), ("test", "t10k")):
        labels = np.resize(np.array(dataset.begins[split], dtype=np.uint8), sizes[split])
        images = random.integers(0, 256, (sizes[split], 28, 28), dtype=np.uint8)
        files[f"{stem}-images-idx3-ubyte"] = idx(images)
        files[f"{stem}-labels-idx1-ubyte"] = idx(labels)
    return files


def put(folder, files, gzipped=False):
    folder.mkdir(parents=True, exist_ok=True)
    for stem, content in files.items():
        path = folder / (stem + ".gz" if gzipped else stem)
        path.write_bytes(gzip.compress(content, mtime=0) if gzipped else content)


def sentence(error):
    message = str(error.value)
    assert message.endswith(".") and "\n" not in message
    return message


def test_the_catalogue_holds_every_data_set_of_the_folder():
    assert set(data.catalogue()) >= {"mnist", "mnist-full", "fashion"}


@pytest.mark.parametrize("dataset", data.catalogue().values(), ids=lambda dataset: dataset.name)
def test_every_data_set_says_what_it_is(dataset, tmp_path):
    assert dataset.title and dataset.card
    assert len(set(dataset.names)) == len(dataset.names) >= 2
    assert set(dataset.sizes) == set(base.SPLITS)
    assert isinstance(dataset.available(tmp_path), bool)


@pytest.mark.parametrize("dataset", data.catalogue().values(), ids=lambda dataset: dataset.name)
def test_every_data_set_that_is_there_loads_as_promised(dataset):
    if not dataset.available():
        pytest.skip(f"{dataset.title} is not on this machine")
    for split in base.SPLITS:
        images = data.load(dataset.name, split)
        assert images.images.shape == (dataset.sizes[split], 1, 28, 28) and images.images.dtype == torch.uint8
        assert images.labels.shape == (dataset.sizes[split],) and images.labels.dtype == torch.int64
        assert len(images) == dataset.sizes[split] and images.names == dataset.names
        assert images.labels.unique().tolist() == list(range(len(dataset.names)))


def test_an_unknown_data_set_or_split_is_answered_with_those_that_exist():
    with pytest.raises(DataError) as error:
        data.load("imagenet", "train")
    assert "fashion, mnist, mnist-full" in sentence(error)
    with pytest.raises(DataError) as error:
        data.load("mnist", "validation")
    assert "train, test" in sentence(error)


def test_the_bundle_is_the_ten_thousand_digits_with_a_fifth_of_every_class_for_the_test():
    train, test = data.load("mnist", "train"), data.load("mnist", "test")
    assert (len(train), len(test)) == (8_000, 2_000)
    counts = test.labels.bincount()
    assert torch.equal(train.labels.bincount() + counts, MNIST_COUNTS)
    assert ((counts - MNIST_COUNTS / 5).abs() < 1).all()


def test_no_digit_is_in_both_splits_and_all_use_the_whole_range_of_bytes():
    images = torch.cat([data.load("mnist", split).images for split in base.SPLITS]).flatten(1)
    assert len(np.unique(images.numpy(), axis=0)) == 10_000
    assert len(images.unique()) == 256


def test_the_first_images_of_the_bundle_are_a_fair_sample():
    for split in base.SPLITS:
        assert data.load("mnist", split).labels[:500].bincount(minlength=10).min() > 25


def test_what_a_caller_does_to_the_images_harms_nobody_else():
    first = data.load("mnist", "train")
    first.images.zero_()
    first.labels.zero_()
    again = data.load("mnist", "train")
    assert again.images.any() and again.labels.any()


def test_the_bundle_is_always_there_and_needs_no_download(tmp_path):
    bundle = data.catalogue()["mnist"]
    assert bundle.available(tmp_path / "nowhere")
    assert "nothing to download" in bundle.download()


@pytest.mark.parametrize("damage", [lambda b: b[:1000], lambda b: b"", lambda b: b[:5000] + b"?" * 99 + b[5099:]])
def test_a_damaged_bundle_says_to_reinstall(damage, tmp_path, monkeypatch):
    copy = tmp_path / "mnist_10k.npz"
    copy.write_bytes(damage(mnist.BUNDLE.read_bytes()))
    monkeypatch.setattr(mnist, "BUNDLE", copy)
    with pytest.raises(DataError, match="reinstall") as error:
        data.load("mnist", "train")
    assert str(copy) in sentence(error)


@pytest.mark.skipif(not os.path.isdir(DEBIAN), reason="the Debian package dataset-fashion-mnist is not installed")
def test_fashion_loads_from_the_debian_package(tmp_path):
    train, test = data.load("fashion", "train", tmp_path), data.load("fashion", "test", tmp_path)
    assert (len(train), len(test)) == (60_000, 10_000)
    assert train.names[train.labels[0]] == "Ankle boot"
    assert train.labels.bincount().tolist() == [6_000] * 10


@pytest.mark.parametrize("gzipped", [False, True], ids=["plain", "gzipped"])
@pytest.mark.parametrize("place", ["FashionMNIST/raw", "fashion", "fashion-mnist", "."])
def test_fashion_is_found_in_every_usual_layout(place, gzipped, tmp_path):
    files = contents()
    put(tmp_path / place, files, gzipped)
    assert SmallFashion().available(tmp_path)
    for split, stem in (("train", "train"), ("test", "t10k")):
        images = SmallFashion().load(split, tmp_path)
        assert images.images.numpy().tobytes() == files[f"{stem}-images-idx3-ubyte"][16:]
        assert bytes(images.labels.tolist()) == files[f"{stem}-labels-idx1-ubyte"][8:]


@pytest.mark.parametrize("place", ["MNIST/raw", "mnist", "mnist-full", "."])
def test_mnist_is_found_in_every_usual_layout(place, tmp_path):
    put(tmp_path / place, contents(SmallMnist))
    assert SmallMnist().available(tmp_path)
    assert len(SmallMnist().load("test", tmp_path)) == SMALL["test"]


def test_in_a_flat_folder_mnist_is_not_taken_for_fashion(tmp_path):
    put(tmp_path, contents(SmallMnist))
    assert SmallMnist().available(tmp_path)
    assert not SmallFashion().available(tmp_path)


def test_a_changed_file_is_read_anew_and_what_was_loaded_is_the_callers_own(tmp_path):
    put(tmp_path, contents())
    SmallFashion().load("train", tmp_path).images.zero_()
    assert SmallFashion().load("train", tmp_path).images.any()
    stem = "train-images-idx3-ubyte"
    (tmp_path / stem).write_bytes(contents()[stem] + b"more")
    with pytest.raises(DataError):
        SmallFashion().load("train", tmp_path)


def test_the_folder_is_the_argument_or_the_environment_or_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LOSSLAB_DATA", str(tmp_path / "environment"))
    assert base.data_folder("~/here") == base.Path.home() / "here"
    assert base.data_folder() == tmp_path / "environment"
    monkeypatch.delenv("LOSSLAB_DATA")
    assert base.data_folder() == base.Path.home() / ".cache" / "losslab"


def test_without_a_home_folder_the_remedy_is_the_environment(monkeypatch):
    def homeless(path):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("LOSSLAB_DATA", raising=False)
    monkeypatch.setattr(base.Path, "expanduser", homeless)
    with pytest.raises(DataError, match="set LOSSLAB_DATA"):
        base.data_folder()


def test_a_missing_data_set_says_where_it_was_looked_for_and_how_to_get_it(tmp_path):
    put(tmp_path, {"train-images-idx3-ubyte": b""})  # one file of four is not a data set
    assert not SmallFashion().available(tmp_path)
    with pytest.raises(DataError, match="download") as error:
        SmallFashion().load("train", tmp_path)
    assert str(tmp_path) in sentence(error)


IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"


@pytest.mark.parametrize("gzipped", [False, True], ids=["plain", "gzipped"])
@pytest.mark.parametrize("stem", [IMAGES, LABELS])
@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda b: b"", "begins with nothing"),
        (lambda b: b"\0\0\x0d" + b[3:], "begins with 00 00 0d"),
        (lambda b: b"<html>" + b, "begins with 3c 68 74 6d"),
        (lambda b: b[:6], "inside its header"),
        (lambda b: b[:-1], "cut short"),
        (lambda b: b[:15], "cut short"),
        (lambda b: b + b"\0", "goes on"),
        (lambda b: b[:4] + b"\xff\xff\xff\xff" + b[8:], "cut short"),
    ],
    ids=[
        "empty",
        "other type",
        "web page",
        "half a header",
        "last byte",
        "a few bytes",
        "one more",
        "huge claim",
    ],
)
def test_a_damaged_idx_file_is_named_with_the_remedy(damage, said, stem, gzipped, tmp_path):
    files = contents()
    files[stem] = damage(files[stem])
    put(tmp_path, files, gzipped)
    with pytest.raises(DataError, match="download the data set again") as error:
        SmallFashion().load("train", tmp_path)
    message = sentence(error)
    assert said in message and str(tmp_path / stem) in message


@pytest.mark.parametrize(
    "damage",
    [
        lambda b: gzip.decompress(b),
        lambda b: b[:-1],
        lambda b: b[: len(b) // 2],
        lambda b: b[:-8] + bytes(4) + b[-4:],
        lambda b: b[:200] + bytes(200) + b[400:],
        lambda b: b + b"trailing",
    ],
    ids=["not gzip", "last byte", "half", "wrong checksum", "hole", "trailing"],
)
def test_a_damaged_gzip_file_is_named_with_the_remedy(damage, tmp_path):
    put(tmp_path, contents(), gzipped=True)
    path = tmp_path / f"{IMAGES}.gz"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match="download the data set again") as error:
        SmallFashion().load("train", tmp_path)
    assert str(path) in sentence(error)


def test_images_and_labels_that_do_not_belong_together_are_named(tmp_path):
    put(tmp_path, contents() | {LABELS: contents(sizes={"train": 29, "test": 20})[LABELS]})
    with pytest.raises(DataError, match="30 images but .* 29 labels") as error:
        SmallFashion().load("train", tmp_path)
    assert IMAGES in sentence(error) and LABELS in sentence(error)


def test_a_set_of_another_size_is_refused(tmp_path):
    put(tmp_path, contents(sizes={"train": 25, "test": 20}))
    with pytest.raises(DataError, match=r"\(25, 28, 28\) instead of \(30, 28, 28\)") as error:
        SmallFashion().load("train", tmp_path)
    assert IMAGES in sentence(error)


def test_a_label_outside_the_classes_is_refused(tmp_path):
    files = contents()
    put(tmp_path, files | {LABELS: files[LABELS][:-1] + b"\x0a"})
    with pytest.raises(DataError, match="above 9") as error:
        SmallFashion().load("train", tmp_path)
    assert LABELS in sentence(error)


def test_a_file_that_may_not_be_read_is_named(tmp_path, monkeypatch):
    put(tmp_path, contents())

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)  # rights do not stop root, who may run this
    with pytest.raises(DataError, match="right to read") as error:
        read_idx(tmp_path / IMAGES, 3)
    assert str(tmp_path / IMAGES) in sentence(error)


def some_images(n=100, classes=5):
    labels = torch.arange(n) % classes
    images = torch.arange(n, dtype=torch.uint8).reshape(n, 1, 1, 1).expand(n, 1, 28, 28)
    return Images(images, labels, tuple("abcdefgh"[:classes]))


def test_a_subset_numbers_its_classes_in_the_order_asked_for():
    part = data.subset(some_images(), classes=(3, 0), per_class=0, seed=0)
    assert part.names == ("d", "a")
    assert len(part) == 40
    assert part.images[:, 0, 0, 0].tolist() == [i for i in range(100) if i % 5 in (0, 3)]
    assert torch.equal(part.labels, (part.images[:, 0, 0, 0] % 5 == 0).long())


def test_a_subset_is_decided_by_its_seed():
    draws = [data.subset(some_images(), (0, 1), 7, seed).images[:, 0, 0, 0].tolist() for seed in (1, 1, 2)]
    assert draws[0] == draws[1] != draws[2]
    assert len(draws[0]) == 14


def test_a_larger_subset_holds_the_smaller_and_classes_do_not_change_each_other():
    def drawn(classes, per_class):
        return set(data.subset(some_images(), classes, per_class, 0).images[:, 0, 0, 0].tolist())

    assert drawn((0, 1), 5) < drawn((0, 1), 6) < drawn((2, 1, 0), 6)


def test_a_class_that_has_fewer_images_gives_what_it_has():
    assert data.subset(some_images(), (0, 1), 1_000, 0).labels.bincount().tolist() == [20, 20]


@pytest.mark.parametrize(
    ("classes", "per_class", "said"),
    [
        ((0, 5), 0, "no class 5"),
        ((-1, 2), 0, "no class -1"),
        ((1,), 0, "at least two"),
        ((), 0, "at least two"),
        ((1, 2, 1), 0, "twice"),
        ((0, 1), -1, "per_class is -1"),
    ],
)
def test_a_subset_that_makes_no_sense_is_refused(classes, per_class, said):
    with pytest.raises(DataError, match=said) as error:
        data.subset(some_images(), classes, per_class, 0)
    sentence(error)
