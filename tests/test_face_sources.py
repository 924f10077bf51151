"""Folders and shards, images and their bounds, what lies in a data folder, and one format made another."""

import io
import json
import os
import pickle
import struct
import sys
import tarfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from face_cases import REAL, changes, face, little_memory, people, readable_rest, real, sentence, tar_of
from PIL import Image

from losslab.data import DataError
from losslab.data.faces import fetched, find, folders, open_source, shards, sources
from losslab.data.faces.check import check
from losslab.data.faces.convert import WRITERS, convert
from losslab.data.faces.decode import LARGEST, decode, fitted, png, suffix
from losslab.data.faces.folders import Folders
from losslab.data.faces.recordio import RecordIO
from losslab.data.faces.shards import Shards
from losslab.data.faces.sheet import contact_sheet
from losslab.data.faces.source import FaceSource


def quiet(done, total):
    pass


def payloads(source):
    return [source.payload(i) for i in range(len(source))]


def put(folder, files):
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def said_names(source):
    return [source.names[label] for label in source.labels]


# -- images ------------------------------------------------------------------------------------------------


def encoded(form, mode="RGB", side=9, **more):
    file = io.BytesIO()
    levels = np.random.default_rng(0).integers(0, 256, (side, side + 2, 3), dtype=np.uint8)
    Image.fromarray(levels).convert(mode).save(file, form, **more)
    return file.getvalue(), levels


@pytest.mark.parametrize("form", ["PNG", "PPM"])
def test_what_is_stored_without_loss_comes_back_exactly(form):
    payload, levels = encoded(form)
    np.testing.assert_array_equal(decode(payload, "x"), levels)


@pytest.mark.parametrize("form,mode", [("JPEG", "RGB"), ("JPEG", "L"), ("JPEG", "CMYK"), ("PNG", "P"), ("PNG", "RGBA"),
                                       ("PNG", "1"), ("PPM", "L"), ("WEBP", "RGB"), ("WEBP", "RGBA")])  # fmt: skip
def test_every_named_format_gives_rgb(form, mode):
    payload, levels = encoded(form, mode)
    image = decode(payload, "x")
    assert image.shape == levels.shape and image.dtype == np.uint8
    assert suffix(payload) in {"JPEG": (".jpg",), "PNG": (".png",), "PPM": (".pgm", ".ppm"), "WEBP": (".webp",)}[form]


def test_sixteen_bits_a_pixel_become_eight():
    deep = np.array([[0, 0x1234], [0x8000, 0xFFFF]], np.uint16)
    file = io.BytesIO()
    Image.fromarray(deep).save(file, "PNG")
    expected = [[0, 0x12], [0x80, 0xFF]]
    np.testing.assert_array_equal(decode(file.getvalue(), "x")[:, :, 1], expected)
    pgm = b"P5 2 2 65535\n" + deep.astype(">u2").tobytes()
    np.testing.assert_array_equal(decode(pgm, "x")[:, :, 2], expected)


def png_of(width, height, rows):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def webp_that_says(width, height, kind):
    size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    body = {
        b"VP8X": bytes(4) + size,
        b"VP8L": b"\x2f" + ((width - 1) | (height - 1) << 14).to_bytes(4, "little") + bytes(5),
        b"VP8 ": b"\x30\x01\x00\x9d\x01\x2a" + width.to_bytes(2, "little") + height.to_bytes(2, "little"),
    }[kind]
    chunk = kind + struct.pack("<I", len(body)) + body
    return b"RIFF" + struct.pack("<I", len(chunk) + 4) + b"WEBP" + chunk


@pytest.mark.parametrize(
    "payload",
    [
        png_of(30_000, 30_000, bytes(100)),
        png_of(LARGEST + 1, 1, bytes(LARGEST + 2)),
        b"P5 900000 900000 255\n1234",
        b"P6 5000 1 255\n" + bytes(15_000),
        *(webp_that_says(16_000, 16_000, kind) for kind in (b"VP8X", b"VP8L", b"VP8 ")),
    ],
    ids=["bomb", "wide", "pgm", "ppm", "VP8X", "VP8L", "VP8"],
)
def test_an_image_that_says_it_is_huge_is_refused_before_it_is_decoded(payload):
    with little_memory(), pytest.raises(DataError, match="faces.rec, record 3 .*larger than 4096") as error:
        decode(payload, "faces.rec, record 3")
    sentence(error)


@pytest.mark.parametrize(
    "payload",
    [b"", b"\0", b"GIF89a" + bytes(50), b"BM" + bytes(60), b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
     b"II*\0" + bytes(40), b"\xff\xd8\xff", b"P5 0 0 255\n", b"<svg/>", webp_that_says(9, 9, b"VP8 ")],
)  # fmt: skip
def test_anything_else_is_no_image(payload):
    with pytest.raises(DataError, match="^it ") as error:
        decode(payload, "it")
    sentence(error)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "PPM", "WEBP"])
def test_an_image_cut_or_changed_anywhere_is_a_sentence_or_an_image(form):
    whole, _ = encoded(form, side=5)
    for payload in [whole[:cut] for cut in range(len(whole))] + [changed for _, changed in changes(whole)]:
        try:
            image = decode(payload, "it")
        except DataError as error:
            sentence(error)
        else:
            assert image.dtype == np.uint8 and image.shape[2] == 3
    with pytest.raises(DataError):
        decode(whole[: len(whole) // 2], "it")


def test_an_image_is_fitted_around_its_middle():
    image = np.zeros((60, 40, 3), np.uint8)
    image[10:50, :, 0] = 200  # the middle square
    image[20:40, 10:30, 0] = 255  # its inner half
    assert fitted(image, 40, 0.0, False).shape == (3, 40, 40)
    np.testing.assert_array_equal(fitted(image, 40, 0.0, False), image[10:50].transpose(2, 0, 1))
    assert (fitted(image, 32, 0.5, False)[0] == 255).all() and (fitted(image, 32, 0.5, False)[1:] == 0).all()
    grey = np.repeat(np.arange(48, dtype=np.uint8)[None, :, None], 48, 0).repeat(3, 2)
    np.testing.assert_array_equal(fitted(grey, 48, 0.0, True)[0], grey[:, :, 0])


# -- folders -----------------------------------------------------------------------------------------------


@real
def test_the_real_folders_are_people():
    source = Folders(REAL / "images")
    assert len(source) == 400 and source.names == tuple(f"s{person}" for person in range(1, 41))
    assert [source.where(i) for i in (0, 9, 10)] == ["images/s1/1.pgm", "images/s1/10.pgm", "images/s2/1.pgm"]
    assert source.image(0).shape == (112, 92, 3) and source.damaged == ()


def test_an_identity_is_any_folder_that_holds_images(tmp_path):
    files = [
        "b/2.png",
        "b/10.PNG",
        "b/deep/er/1.jpg",
        "a10/x.webp",
        "a9/x.pgm",
        "a9/notes.txt",
        ".trash/1.png",
        "1.png",
    ]
    put(tmp_path, {name: face(0, at) for at, name in enumerate(files)})
    source = Folders(tmp_path, "mine")
    assert source.names == ("a9", "a10", "b", "b/deep/er")
    assert [source.where(i) for i in range(5)] == [
        "mine/a9/x.pgm",
        "mine/a10/x.webp",
        "mine/b/2.png",
        "mine/b/10.PNG",
        "mine/b/deep/er/1.jpg",
    ]
    assert payloads(pickle.loads(pickle.dumps(source))) == payloads(source)
    np.testing.assert_array_equal(source.labels, [0, 1, 2, 2, 3])


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_links_are_not_followed(tmp_path):
    put(tmp_path / "outside", {"secret/1.png": face(9, 9)})
    put(tmp_path / "faces", {"a/1.png": face(0, 0)})
    (tmp_path / "faces/b").symlink_to(tmp_path / "outside/secret")
    (tmp_path / "faces/a/2.png").symlink_to(tmp_path / "outside/secret/1.png")
    (tmp_path / "faces/loop").symlink_to(tmp_path / "faces")
    assert payloads(Folders(tmp_path / "faces")) == [face(0, 0)]
    (tmp_path / "root").mkdir()
    (tmp_path / "root/link").symlink_to(tmp_path / "faces")
    assert sources(tmp_path / "root") == {}


def test_a_folder_without_identities_is_a_sentence(tmp_path):
    put(tmp_path, {"1.png": face(0, 0), "text/readme.md": b"x"})
    with pytest.raises(DataError, match="holds no identities") as error:
        Folders(tmp_path)
    sentence(error)
    with pytest.raises(DataError, match="cannot be read"):
        Folders(tmp_path / "none")


def test_a_file_that_is_no_image_or_gone_or_too_long_is_named(tmp_path):
    put(tmp_path, {"a/1.png": b"", "a/2.png": b"text", "a/3.png": face(0, 0), "a/4.png": face(0, 1)})
    with open(tmp_path / "a/4.png", "wb") as file:
        file.truncate(1 << 40)  # a hole: it takes no room
    source = Folders(tmp_path, "faces")
    (tmp_path / "a/3.png").unlink()
    with little_memory():
        for i, why in enumerate(["a/1.png is not", "a/2.png is not", "3.png cannot be read", "a/4.png has 10995"]):
            with pytest.raises(DataError, match=why) as error:
                source.image(i)
            sentence(error)


# -- shards ------------------------------------------------------------------------------------------------


def shard(folder, members, name="one.tar"):
    put(folder, {name: tar_of(members)})
    return Shards(folder, "faces")


def test_labels_come_from_cls_or_json_or_the_folder(tmp_path):
    members = [
        ("10.jpg", b"ten"), ("10.cls", b"12\n"),
        ("11.json", b'{"label": 3, "name": "Ann", "more": [1]}'), ("11.png", b"eleven"),
        ("12.PNG", b"twelve"), ("12.json", b'{"label": "x/y"}'),
        ("./zoe/1.webp", b"zoe"), ("./zoe/notes.txt", b"?"), ("14.face.jpg", b"two dots"), ("14.cls", b"3"),
    ]  # fmt: skip
    source = shard(tmp_path, members)
    assert dict(zip(payloads(source), said_names(source), strict=True)) == {
        b"ten": "12", b"eleven": "Ann", b"twelve": "x/y", b"zoe": "zoe", b"two dots": "Ann"
    }  # fmt: skip
    assert source.names == ("Ann", "12", "x/y", "zoe") and source.damaged == ()  # in the order of 3, 12, x/y, zoe
    assert source.where(0) == "faces/one.tar, 10.jpg"


def test_shards_side_by_side_are_one_source_with_keys_of_their_own(tmp_path):
    put(tmp_path, {"s-10.tar": tar_of([("0.jpg", b"c"), ("0.cls", b"1")])})
    put(tmp_path, {"s-9.tar": tar_of([("0.jpg", b"a"), ("0.cls", b"1"), ("1.jpg", b"b"), ("1.cls", b"0")])})
    source = Shards(tmp_path)
    assert payloads(source) == [b"a", b"b", b"c"] and said_names(source) == ["1", "0", "1"]
    again = pickle.loads(pickle.dumps(source))
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(again.payload, [0, 1, 2] * 20)) == [b"a", b"b", b"c"] * 20


def link(name, target, kind):
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, target
    return made


def test_a_hostile_tar_reaches_nothing_outside(tmp_path):
    put(tmp_path, {"secret.jpg": b"secret"})
    members = [
        ("../../secret.jpg", b"up"), ("/etc/secret.jpg", b"root"),
        (link("a/link.jpg", "../secret.jpg", tarfile.SYMTYPE), None),
        (link("a/hard.jpg", "secret.jpg", tarfile.LNKTYPE), None),
        (link("a/device.jpg", "", tarfile.CHRTYPE), None), (link("a/pipe.jpg", "", tarfile.FIFOTYPE), None),
        ("b/\x1b[31m.jpg", b"colour"), ("a/1.jpg", b"good"),
    ]  # fmt: skip
    source = shard(tmp_path / "faces", members)
    assert sorted(payloads(source)) == [b"good", b"root", b"up"]  # bytes of the tar itself; names are never paths
    assert any("name that cannot be" in sentence(each) for each in source.damaged)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["faces", "one.tar", "secret.jpg"]
    convert(Shards(tmp_path / "faces"), "folders", tmp_path / "out", quiet)
    assert not list((tmp_path / "out").rglob("*.jpg"))  # none of them is an image


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT])
def test_long_names_are_read(tmp_path, form):
    name = "/".join(["person" * 8] * 3) + "/1.jpg"
    with tarfile.open(tmp_path / "one.tar", "w", format=form) as tar:
        for each in (name, "short/2.jpg"):
            member = tarfile.TarInfo(each)
            member.size = 3
            tar.addfile(member, io.BytesIO(b"abc"))
    source = Shards(tmp_path)
    assert [member.name for member in source._members] == [name, "short/2.jpg"] and source.damaged == ()


@pytest.mark.parametrize(
    "label",
    [b"", b"\xff\xfe", b"{", b"[1]", b'{"label": null}', b'{"label": true}', b'{"label": ' + b"9" * 5000 + b"}",
     b"[" * 5000, b'{"label": "' + b"x" * 500 + b'"}', b'{"label": "a\\nb"}', b'{"label": 1.5}'],
    ids=range(11),
)  # fmt: skip
def test_a_label_that_is_none_is_said(tmp_path, label):
    source = shard(tmp_path, [("1.jpg", b"x"), ("1.json", label), ("2.jpg", b"y"), ("2.cls", b"5")])
    assert payloads(source) == [b"y"] and source.names == ("5",)
    assert "1.json holds no label" in sentence(source.damaged[0]) and "1.jpg is of nobody" in source.damaged[1]


def test_sizes_that_are_lies_take_no_memory(tmp_path):
    good = tar_of([("a/1.jpg", b"good")])[:1024]
    for said in (b"77777777777\0", b"\x80" + b"\0" * 3 + b"\x7f" + b"\xff" * 7, b"\xff" * 12, b"-1         \0"):
        info = tarfile.TarInfo("b/2.jpg").tobuf(tarfile.USTAR_FORMAT)
        info = info[:124] + said + info[136:148] + b" " * 8 + info[156:]
        info = info[:148] + b"%06o\0 " % sum(info) + info[156:]
        with little_memory():
            put(tmp_path, {"one.tar": good + info + good + bytes(1024)})
            source = Shards(tmp_path)
            assert payloads(source) == [b"good"] * 2
            assert "cut short" in sentence(source.damaged[0])


def test_no_shard_and_no_labels_are_sentences(tmp_path):
    for members in ([], [("1.jpg", b"x")], [("a/1.txt", b"x")]):
        with pytest.raises(DataError, match="no tar with images") as error:
            shard(tmp_path, members)
        sentence(error)
    put(tmp_path, {"one.tar": b""})
    with pytest.raises(DataError, match="is empty"):
        Shards(tmp_path)
    put(tmp_path, {"one.tar": os.urandom(5000)})
    with pytest.raises(DataError, match="damaged"):
        Shards(tmp_path)


@pytest.fixture(scope="module")
def small_tar(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tar")
    images = [face(person, take, 2) for person, take in ((0, 0), (0, 1), (1, 0))]
    shards.write_faces(folder, [("a", images[:2]), ("b", images[2:])])
    return (folder / "faces-000000.tar").read_bytes(), images


def test_a_tar_cut_anywhere_leaves_what_is_whole(tmp_path, small_tar):
    content, images = small_tar
    with little_memory():
        for cut in range(0, 8 * 512, 13):
            put(tmp_path, {"one.tar": content[:cut]})
            sound = readable_rest(lambda: Shards(tmp_path), images)
            assert sound >= cut // 2048, cut  # an image and its label are four blocks


def test_a_tar_changed_anywhere_keeps_the_other_images(tmp_path, small_tar):
    content, images = small_tar
    with little_memory():
        for at, changed in changes(content[: 8 * 512]):
            if any(content[at : at + 1]) or at % 7 == 0:  # of the zeros a part
                put(tmp_path, {"one.tar": changed + content[8 * 512 :]})
                assert readable_rest(lambda: Shards(tmp_path), images) >= len(images) - 1, at


# -- what lies in the data folder --------------------------------------------------------------------------


def build(root):
    put(root, {"casia/train.rec": b"x", "casia/train.idx": b"", "web/a-1.tar": b"", "web/a-2.tar": b""})
    put(root, {f"deep/er/lfw/p{n}/1.jpg": b"x" for n in range(3)})
    put(root, {"MNIST/raw/train-images-idx3-ubyte": b"", "a/b/c/d/p/1.png": b"x", ".hidden/p/1.png": b"x"})
    return root


def test_sources_are_found_by_what_they_hold(tmp_path):
    found = sources(build(tmp_path))
    assert {name: each.kind for name, each in found.items()} == {
        "casia": "RecordIO",
        "web": "shards",
        "deep/er/lfw": "folders",
    }
    assert sources(tmp_path / "nowhere") == {}


def test_the_data_folder_may_be_a_source_itself(tmp_path):
    put(tmp_path / "faces", {"train.rec": b"x"})
    assert list(sources(tmp_path / "faces")) == ["faces"]


@pytest.mark.parametrize(
    "name", ["../outside", "/etc", "casia/../casia", "casia/", "./casia", "", "casia\0", "deep/er", "~", "x" * 5000]
)
def test_a_name_is_never_a_path(tmp_path, name):
    put(tmp_path / "outside", {"train.rec": b"x"})
    build(tmp_path / "data")
    with pytest.raises(DataError, match="There are no faces called") as error:
        find(name, tmp_path / "data")
    assert len(sentence(error)) < 500 + len(str(tmp_path))


@real
def test_the_real_sources(monkeypatch):
    monkeypatch.setenv("LOSSLAB_DATA", str(REAL.parent))
    assert {"orl_faces/images", "orl_faces/casia_format"} <= set(sources())
    with open_source("orl_faces/casia_format") as source:
        assert source.name == "orl_faces/casia_format" and len(source) == 320


# -- one format made another -------------------------------------------------------------------------------


@pytest.mark.parametrize("form", WRITERS)
@pytest.mark.parametrize("counts", [(1,), (3, 1, 2), (1,) * 12])
def test_every_writer_comes_back(tmp_path, form, counts):
    given = people(counts)
    WRITERS[form](tmp_path, given)
    (found,) = sources(tmp_path.parent if form == "none" else tmp_path).values()
    with found.open() as source:
        assert payloads(source) == [image for _, images in given for image in images]
        assert source.labels.tolist() == [k for k, n in enumerate(counts) for _ in range(n)] and not source.damaged
        if form != "recordio":
            assert source.names == tuple(name for name, _ in given)


@real
@pytest.mark.parametrize("name", ["images", "casia_format"])
def test_every_format_made_from_the_real_faces_holds_the_same(tmp_path, name):
    with open_source(name, REAL) as source:
        expected = payloads(source)
        for first in WRITERS:
            assert convert(source, first, tmp_path / first, quiet) == ()
        for found in sources(tmp_path).values():
            with found.open() as made:
                assert payloads(made) == expected and (made.labels == source.labels).all()
                assert made.damaged == () == made.notes


def test_what_cannot_be_decoded_is_left_out_and_said(tmp_path):
    put(tmp_path / "in", {"a/1.png": face(0, 0), "a/2.png": b"text", "b/1.png": b"nothing good", "c/1.png": face(2, 0)})
    for form in WRITERS:
        said = convert(Folders(tmp_path / "in"), form, tmp_path / form, quiet)
        assert len(said) == 2 and "in/a/2.png" in sentence(said[0])
        with sources(tmp_path)[form].open() as made:
            assert payloads(made) == [face(0, 0), face(2, 0)] and made.labels.tolist() == [0, 1]


class Named(FaceSource):
    """One image for each name."""

    def __init__(self, names):
        self.names, self.labels, self.damaged = names, np.arange(len(names)), ()

    def payload(self, i):
        return face(i, 0)

    def where(self, i):
        return str(i)

    def files(self):
        return iter(())


def test_names_that_are_no_folders_become_numbers(tmp_path):
    for names in (["../up", "b"], ["b", "a"], ["a.", "b/"], ["", "x"]):
        source = Named(tuple(names))
        out = tmp_path / names[1].replace("/", "_") / "out"
        convert(source, "folders", out, quiet)
        assert sorted(path.name for path in out.iterdir()) == ["000000", "000001"]


def test_nothing_is_written_over_what_is_there(tmp_path):
    put(tmp_path, {"in/a/1.png": face(0, 0), "out/kept": b"x"})
    with pytest.raises(DataError, match="not empty") as error:
        convert(Folders(tmp_path / "in"), "shards", tmp_path / "out", quiet)
    sentence(error)
    with pytest.raises(DataError, match="no format 'zip'"):
        convert(Folders(tmp_path / "in"), "zip", tmp_path / "new", quiet)


def test_many_images_fill_several_shards(tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "A_SHARD", 4)
    shards.write_faces(tmp_path, people((3, 5, 1)))
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"faces-{at:06d}.tar" for at in range(3)]
    assert Shards(tmp_path).labels.tolist() == [0] * 3 + [1] * 5 + [2]


# -- check, sheet, fetched ---------------------------------------------------------------------------------


def test_a_check_counts_sizes_copies_and_damage(tmp_path):
    put(tmp_path, {"a/1.png": face(0, 0), "a/2.png": face(0, 0), "a/3.png": b"?", "b/1.png": face(1, 0, side=7)})
    told = []
    report = check(Folders(tmp_path, "f"), lambda *done: told.append(done))
    assert (report.images, report.identities, report.per_identity) == (4, 2, (1, 2.0, 3))
    assert report.sizes == {(5, 5): 2, (7, 7): 1} and report.copies == (("f/a/1.png", "f/a/2.png"),)
    assert len(report.damaged) == 1 and "f/a/3.png" in sentence(report.damaged[0]) and told[-1] == (4, 4)


def test_a_contact_sheet_has_a_row_for_each_of_some_people(tmp_path):
    folders.write_faces(tmp_path, people((3, 2)))
    put(tmp_path, {"p0/000001.png": b"broken"})
    sheet = decode(contact_sheet(Folders(tmp_path), images=4), "sheet")
    assert sheet.shape == (2 * 100 + 4, 4 * 100 + 4, 3)
    assert (sheet[4:100, 4:100] != 255).any() and (sheet[4:100, 104:200] == 255).all()
    assert contact_sheet(Folders(tmp_path)) == contact_sheet(Folders(tmp_path))


def fake_sklearn(monkeypatch, **fetchers):
    sklearn, datasets = ModuleType("sklearn"), ModuleType("sklearn.datasets")
    sklearn.datasets = datasets
    for name, fetcher in fetchers.items():
        setattr(datasets, name, fetcher)
    monkeypatch.setitem(sys.modules, "sklearn", sklearn)
    monkeypatch.setitem(sys.modules, "sklearn.datasets", datasets)


def test_olivetti_becomes_a_folder_per_person(tmp_path, monkeypatch):
    images = np.random.default_rng(0).random((6, 8, 8)).astype(np.float32)
    said = SimpleNamespace(images=images, target=np.array([0, 0, 1, 1, 2, 2]))
    fake_sklearn(monkeypatch, fetch_olivetti_faces=lambda **_: said)
    assert "6 images of 3 people" in sentence(fetched.fetch("olivetti", tmp_path))
    with open_source("olivetti", tmp_path) as source:
        assert source.names == ("00", "01", "02") and source.labels.tolist() == [0, 0, 1, 1, 2, 2]
        np.testing.assert_array_equal(source.image(3)[:, :, 0], np.rint(images[3] * 255).astype(np.uint8))
    assert "already" in sentence(fetched.fetch("olivetti", tmp_path))


def test_lfw_keeps_its_colours_and_names(tmp_path, monkeypatch):
    images = np.random.default_rng(0).integers(0, 256, (3, 8, 6, 3)).astype(np.float32)  # as older versions gave them
    said = SimpleNamespace(images=images, target=np.array([1, 0, 1]), target_names=np.array(["Ann Lee", "Bo/../b"]))
    fake_sklearn(monkeypatch, fetch_lfw_people=lambda **_: said)
    fetched.fetch("lfw", tmp_path)
    with open_source("lfw", tmp_path) as source:
        assert source.names == ("Ann_Lee", "Bo_b")
        np.testing.assert_array_equal(source.image(0), images[1].astype(np.uint8))


def test_a_download_that_fails_is_a_sentence_and_leaves_nothing(tmp_path, monkeypatch):
    def broken(**_):
        raise OSError("no\nroute to host.")

    fake_sklearn(monkeypatch, fetch_olivetti_faces=broken)
    with pytest.raises(DataError, match="no route to host") as error:
        fetched.fetch("olivetti", tmp_path)
    sentence(error)
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(DataError, match="not installed"):
        fetched.fetch("lfw", tmp_path)
    with pytest.raises(DataError, match="no faces 'vgg'"):
        fetched.fetch("vgg", tmp_path)
    assert sources(tmp_path) == {} and not list(tmp_path.iterdir())


def test_ten_images_in_all_are_enough_to_read(tmp_path):
    recs = [("p", [face(0, take) for take in range(10)])]
    for form, write in WRITERS.items():
        (tmp_path / form).mkdir()
        write(tmp_path / form, recs)
    assert {len(found.open()) for found in sources(tmp_path).values()} == {10}
    assert isinstance(sources(tmp_path)["recordio"].open(), RecordIO)
    assert json.loads(json.dumps(list(sources(tmp_path)))) == ["folders", "recordio", "shards"]
    assert png(np.zeros((2, 2), np.uint8))[:4] == b"\x89PNG"
