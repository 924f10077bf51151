"""Verification sets: read as every program writes them, and nothing in them is ever run."""

import copyreg
import os
import pickle
import re
import struct
from pathlib import Path

import numpy as np
import pytest

from losslab.data import DataError
from losslab.data.faces.decode import png
from losslab.data.faces.pairs import read_pairs, write_pairs

FACES = Path(os.environ.get("LOSSLAB_TEST_DATA", Path(__file__).parents[2] / "shared" / "data")) / "orl_faces"
needs_faces = pytest.mark.skipif(not FACES.exists(), reason=f"There are no face images in {FACES}.")
IMAGES = [bytes([i, 255 - i]) * 3 for i in range(6)]
SAME = [True, False, True]


@pytest.fixture
def written(tmp_path):
    """A file with these bytes."""

    def write(data):
        path = tmp_path / "some.bin"
        path.write_bytes(data)
        return path

    return write


def refused(path):
    with pytest.raises(DataError) as caught:
        read_pairs(path)
    assert re.fullmatch(r"some\.bin is .*[^.]\.", str(caught.value), re.S), caught.value
    return str(caught.value)


# -- what there is in the world --------------------------------------------------------------------------


@needs_faces
def test_a_real_set():
    pairs = read_pairs(FACES / "casia_format" / "orl.bin")
    assert len(pairs) == 400 and pairs.same.sum() == 200 and pairs.same.dtype == bool
    assert pairs.same.reshape(10, 40).sum(1).tolist() == [20] * 10
    assert len(pairs.payloads) == 800 and pairs.image(799).shape == (112, 112, 3)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize(
    "images, same",
    [
        (IMAGES, SAME),
        (tuple(IMAGES), tuple(SAME)),
        ([np.frombuffer(image, np.uint8) for image in IMAGES], SAME),
        ([np.array(list(image), np.uint8) for image in IMAGES], [np.bool_(truth) for truth in SAME]),
        (IMAGES, np.array(SAME)),
    ],
    ids=["lists", "tuples", "views", "arrays", "truths in an array"],
)
def test_all_ways_of_writing_it_are_read_alike(written, protocol, images, same):
    data = pickle.dumps((images, same), protocol)
    for each in (data, data.replace(b"cnumpy._core.", b"cnumpy.core.")):  # NumPy's names today, and those before 2.0
        pairs = read_pairs(written(each))
        assert pairs.payloads == tuple(IMAGES)
        assert pairs.same.tolist() == SAME and pairs.same.dtype == bool and pairs.name == "some.bin"


def test_what_python_2_wrote(written):
    """Its texts are bytes: short ones and long ones."""
    long = bytes(range(256)) * 2
    short = b"".join(b"U" + bytes([len(image)]) + image for image in IMAGES[:5])
    data = b"\x80\x02]q\x00(" + short + b"T" + struct.pack("<i", len(long)) + long + b"e]q\x01(\x88\x89\x88e\x86q\x02."
    pairs = read_pairs(written(data))
    assert pairs.payloads == (*IMAGES[:5], long) and pairs.same.tolist() == SAME


def test_an_array_of_python_2(written):
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
        b"(K\x01K\x02\x85cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        b"\x89U\x02\xff\xd8tb"
    )
    assert read_pairs(written(b"\x80\x02](" + array * 2 + b"e]\x88a\x86.")).payloads == (b"\xff\xd8",) * 2


@pytest.mark.parametrize("seed", range(5))
def test_what_is_written_is_read_again(tmp_path, seed):
    draw = np.random.default_rng(seed)
    same = draw.random(draw.integers(1, 40)) < 0.5
    payloads = [draw.bytes(draw.integers(1, 400)) for _ in range(2 * len(same))]
    write_pairs(tmp_path / "a.bin", payloads, same)
    pairs = read_pairs(tmp_path / "a.bin")
    assert pairs.payloads == tuple(payloads) and np.array_equal(pairs.same, same)
    assert pickle.loads((tmp_path / "a.bin").read_bytes()) == (payloads, same.tolist())  # what other programs do
    assert [each.name for each in tmp_path.iterdir()] == ["a.bin"]


def test_an_image_shared_by_many_pairs_is_kept_once(written):
    image = bytes(1000)
    pairs = read_pairs(written(pickle.dumps(([image] * 2000, [True] * 1000), 4)))
    assert len(pairs) == 1000 and len({id(each) for each in pairs.payloads}) == 1


def test_images_are_decoded_when_they_are_looked_at(tmp_path):
    picture = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    write_pairs(tmp_path / "a.bin", [png(picture), b"nothing"], [True])
    pairs = read_pairs(tmp_path / "a.bin")
    assert np.array_equal(pairs.image(0), picture)
    with pytest.raises(DataError, match="a.bin, image 2 of pair 0"):
        pairs.image(1)


# -- wrong contents --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content, says",
    [
        ((IMAGES, SAME[:2]), "6 images and 2 truths"),
        ((IMAGES[:5], SAME), "5 images and 3 truths"),
        (([], []), "0 images"),
        ((IMAGES, [1, 0, 1]), "true and false"),
        ((IMAGES, [True, None, True]), "true and false"),
        ((["text"] * 6, SAME), "image 0"),
        (([b""] * 6, SAME), "verification set"),
        ((IMAGES[:5] + [[IMAGES[5]]], SAME), "image 5"),
        (IMAGES, "something else"),
        ((IMAGES, SAME, SAME), "something else"),
        ((b"abcdef", SAME), "not a list"),
        (None, "something else"),
        (([np.zeros((2, 2), np.uint8)] * 6, SAME), "a row of bytes"),
        (([np.zeros(4, np.int64)] * 6, SAME), "a row of bytes"),
        (([np.array([None])] * 6, SAME), "a row of bytes"),
        (([np.array([True])] * 6, SAME), "image 0"),
        ((IMAGES, np.ones(3, np.uint8)), "not a list"),
        ((IMAGES, {1: True}), "EMPTY_DICT"),
        ((IMAGES, [0.5] * 3), "BINFLOAT"),
    ],
)
@pytest.mark.parametrize("protocol", [2, 4])
def test_other_contents_are_refused(written, content, says, protocol):
    assert says in refused(written(pickle.dumps(content, protocol)))


@pytest.mark.parametrize(
    "data", [b"", b".", b"\x80\x04.", b"\xff\xd8\xff\xe0 a photograph", b"PK\x03\x04", b"(.", b"N"]
)
def test_other_files_are_refused(written, data):
    refused(written(data))


def test_files_that_are_not_there(tmp_path):
    with pytest.raises(DataError, match=r"^no\.bin cannot be read"):
        read_pairs(tmp_path / "no.bin")
    with pytest.raises(DataError, match="cannot be read"):
        read_pairs(tmp_path)
    with pytest.raises(DataError, match="cannot be written"):
        write_pairs(tmp_path / "no" / "a.bin", IMAGES, SAME)
    with pytest.raises(DataError, match="6 images and 1 truths"):
        write_pairs(tmp_path / "a.bin", IMAGES, [True])
    assert not list(tmp_path.iterdir())


def test_a_set_has_a_largest_size(written, monkeypatch):
    from losslab.data.faces import pairs

    data = pickle.dumps((IMAGES, SAME), 4)
    for limit in ("MOST_PAIRS", "MOST_BYTES", "MOST_STEPS"):
        with monkeypatch.context() as smaller:
            smaller.setattr(pairs, limit, 2)
            refused(written(data))
    read_pairs(written(data))


# -- hostile ---------------------------------------------------------------------------------------------


class Calls:
    """Unpickling it calls something."""

    def __init__(self, *reduced):
        self.reduced = reduced

    def __reduce__(self):
        return self.reduced


class Stateful:
    ran = False

    def __setstate__(self, state):
        Stateful.ran = True


class Subclass(list):
    pass


def hostile():
    call = b"touch ran"
    yield "a call", pickle.dumps(Calls(os.system, ("touch ran",)), 2)
    yield "a call by STACK_GLOBAL", pickle.dumps(Calls(os.system, ("touch ran",)), 4)
    yield "a call in a list", pickle.dumps(([Calls(os.system, ("touch ran",))] * 6, SAME), 4)
    yield "a call of an old kind", b"cposix\nsystem\n(S'" + call + b"'\ntR."
    yield "INST", b"(S'" + call + b"'\niposix\nsystem\n."
    yield "OBJ", b"(cposix\nsystem\nU\x09" + call + b"o."
    yield "eval", pickle.dumps(Calls(eval, ("open('ran', 'w')",)), 4)
    yield "getattr", pickle.dumps(Calls(getattr, (b"", "join")), 4)
    yield "a state", b"\x80\x02" + b"ctests.test_pairs_bin\nStateful\n)R}b."
    yield "a state of a list", b"\x80\x02]}U\x0a__setstate__cposix\nsystem\nsbU\x09" + call + b"b."
    yield "a state of an array", b"\x80\x02cnumpy\nndarray\n}U\x05dtypecposix\nsystem\nsb."
    yield "NEWOBJ", pickle.dumps(Subclass(IMAGES), 2)
    yield "NEWOBJ_EX", b"\x80\x04cposix\nsystem\n)}\x92."
    yield "another codec", b"\x80\x02c_codecs\nencode\nX\x01\x00\x00\x00aX\x04\x00\x00\x00zlib\x86R."
    yield "a codec's object", b"\x80\x02c_codecs\ndecode\nU\x01aU\x03hex\x86R."
    yield "beyond latin-1", b"\x80\x02c_codecs\nencode\nX\x03\x00\x00\x00\xe2\x82\xacX\x06\x00\x00\x00latin1\x86R."
    yield "objects in an array", pickle.dumps(([np.array([os.system], object)] * 6, SAME), 2)
    yield "an array's dtype of objects", b"\x80\x02cnumpy\ndtype\nU\x02O8K\x00K\x01\x87R."
    yield (
        "a huge array",
        (
            b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
            b"(K\x01J\xff\xff\xff\x7f\x85cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R\x89U\x02abtb."
        ),
    )
    yield "an array made by its class", b"\x80\x02cnumpy\nndarray\nJ\xff\xff\xff\x7f\x85R."
    yield (
        "an array filled twice",
        (
            b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
            + b"(K\x01K\x01\x85cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R\x89U\x01atb" * 2
            + b"."
        ),
    )
    yield "a deep name", b"\x80\x04\x8c\x05numpy\x8c\x0fcore.os.system.x\x93."
    yield "a name that is no text", b"\x80\x04NN\x93."
    yield "a persistent id", b"\x80\x02U\x01aQ."
    yield "an old persistent id", b"Pa\n."
    yield "an extension", b"\x80\x02\x82\xf0U\x09" + call + b"\x85R."
    yield "a wide extension", b"\x80\x02\x84\xf0\x00\x00\x00."
    yield "a buffer from elsewhere", b"\x80\x05\x97."
    yield "a claimed length", b"\x80\x04\x8e" + b"\xff" * 7 + b"\x7f" + b"a."
    yield "a length below zero", b"\x80\x02T\xff\xff\xff\xffa."
    yield "a claimed text", b"\x80\x04\x8d" + b"\xff" * 7 + b"\x7f" + b"a."
    yield "a claimed number", b"\x80\x02\x8b\xff\xff\xff\x7fa."
    yield "a far place in the memo", b"\x80\x02Nr\xff\xff\xff\xff."
    yield "an empty place of the memo", b"\x80\x02h\x07."
    yield "lists of lists, each twice as long", b"\x80\x02]q\x00" + b"".join(
        b"](h" + bytes([i]) + b"h" + bytes([i]) + b"eq" + bytes([i + 1]) for i in range(100)
    ) + b"."  # fmt: skip
    yield "a list in itself", b"\x80\x02]q\x00h\x00ah\x00\x86."
    yield "tuples in tuples", b"\x80\x02)" + b"\x85" * 100_000 + b"."
    yield "too few parts", b"\x80\x02a."
    yield "a mark as a part", b"\x80\x02(q\x00."
    yield "no mark", b"\x80\x02Ne."
    yield "left over", b"\x80\x02NN."
    yield "a future protocol's instruction", b"\x80\x02\xf9."


@pytest.mark.parametrize("data", [pytest.param(data, id=name) for name, data in hostile()])
def test_nothing_in_a_file_is_run(written, data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(copyreg._inverted_registry, 240, ("posix", "system"))
    monkeypatch.setitem(copyreg._extension_cache, 240, os.system)
    refused(written(data))
    assert not Stateful.ran and not (tmp_path / "ran").exists()


@pytest.mark.parametrize("protocol", [2, 4, 5])
@pytest.mark.parametrize("kind", [bytes, lambda image: np.frombuffer(image, np.uint8)], ids=["bytes", "arrays"])
def test_a_file_cut_anywhere_is_refused(written, protocol, kind):
    data = pickle.dumps(([kind(image) for image in IMAGES[:4]], SAME[:2]), protocol)
    for end in range(len(data)):
        refused(written(data[:end]))


@pytest.mark.parametrize("protocol", [2, 4, 5])
@pytest.mark.parametrize("kind", [bytes, lambda image: np.frombuffer(image, np.uint8)], ids=["bytes", "arrays"])
def test_a_flipped_bit_is_refused_or_leaves_a_set_of_pairs(written, protocol, kind):
    """Inside an image it cannot be seen here, and a truth is one bit."""
    data = pickle.dumps(([kind(image) for image in IMAGES[:2]], [True]), protocol)
    for place in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[place // 8] ^= 1 << place % 8
        path = written(flipped)
        try:
            pairs = read_pairs(path)
        except DataError:
            refused(path)
            continue
        assert all(type(each) is bytes for each in pairs.payloads) and 2 * len(pairs) == len(pairs.payloads)
