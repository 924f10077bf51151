"""RecordIO: the files of MXNet byte for byte, whatever lies in them, and what is left of damaged ones."""

import multiprocessing
import pickle
import struct
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest
from face_cases import REAL, changes, face, little_memory, people, readable_rest, real, sentence

from losslab.data import DataError
from losslab.data.faces import recordio
from losslab.data.faces.convert import convert
from losslab.data.faces.recordio import MAGIC, Entry, RecordIO, Records, RecordWriter, pack, unpack, write_faces


def quiet(done, total):
    pass


def written(folder, counts=(2, 1, 3)):
    write_faces(folder, people(counts))
    return [payload for _, images in people(counts) for payload in images]


def entries(path):
    records = Records(path, path.name)
    starts, damaged = records.scan()
    return [unpack(records.read(start, "x"), "x") for start in starts.tolist()], damaged


def simple(folder, given, index=True):
    """A .rec without a header record, of these entries."""
    with RecordWriter(folder / "train.rec") as file:
        for number, entry in enumerate(given):
            file.write(number, pack(entry))
    if not index:
        (folder / "train.idx").unlink()
    return RecordIO(folder)


def payloads(source):
    return [source.payload(i) for i in range(len(source))]


# -- the real file -----------------------------------------------------------------------------------------


@real
def test_the_file_that_mxnet_wrote_is_read():
    with RecordIO(REAL / "casia_format") as source:
        assert len(source) == 320 and source.names == tuple(map(str, range(32)))
        assert source.damaged == () == source.notes
        np.testing.assert_array_equal(source.labels, np.arange(320) // 10)
        assert source.payload(0)[:2] == b"\xff\xd8" and source.image(319).shape == (112, 112, 3)


@real
def test_what_is_written_again_is_byte_for_byte_what_mxnet_wrote(tmp_path):
    with RecordIO(REAL / "casia_format") as source:
        assert convert(source, "recordio", tmp_path / "again", quiet) == ()
    for name in ("train.rec", "train.idx", "property"):
        assert (tmp_path / "again" / name).read_bytes() == (REAL / "casia_format" / name).read_bytes()


@real
@pytest.mark.parametrize("index", ["missing", "of another file", "nonsense", "empty"])
def test_without_its_own_index_the_real_file_reads_the_same(tmp_path, index):
    rec, idx = (REAL / "casia_format" / name for name in ("train.rec", "train.idx"))
    (tmp_path / "train.rec").write_bytes(rec.read_bytes())
    if index != "missing":
        shifted = b"".join(b"%d\t%d\n" % (number, 48 * number) for number in range(353))
        said = {"of another file": shifted, "nonsense": b"\xff\x00 what?", "empty": b""}[index]
        (tmp_path / "train.idx").write_bytes(said)
    with RecordIO(REAL / "casia_format") as whole, RecordIO(tmp_path) as source:
        assert payloads(source) == payloads(whole) and source.names == whole.names
        np.testing.assert_array_equal(source.labels, whole.labels)
        assert source.damaged == () and len(source.notes) == 1
        assert ("missing" if index == "missing" else "does not belong") in sentence(source.notes[0])
    assert idx.exists()


@real
@pytest.mark.parametrize("share", [0.3, 0.77, 0.9999])
def test_what_is_whole_of_a_truncated_real_file_is_usable(tmp_path, share):
    content = (REAL / "casia_format/train.rec").read_bytes()
    cut = int(len(content) * share)
    (tmp_path / "train.rec").write_bytes(content[:cut])
    (tmp_path / "train.idx").write_bytes((REAL / "casia_format/train.idx").read_bytes())
    with RecordIO(REAL / "casia_format") as whole, RecordIO(tmp_path) as source:
        assert 0 < len(source) <= 320 and payloads(source) == payloads(whole)[: len(source)]
        assert [source.names[label] for label in source.labels] == [str(at // 10) for at in range(len(source))]
        assert any("cut short" in sentence(each) for each in source.damaged)


# -- round trips -------------------------------------------------------------------------------------------


def test_the_layout_of_casia(tmp_path):
    written(tmp_path, (2, 1))
    found, damaged = entries(tmp_path / "train.rec")
    assert damaged == []
    assert [(each.id, each.vector, each.labels) for each in found] == [
        (0, True, (4.0, 6.0)),
        (1, False, (0.0,)),
        (2, False, (0.0,)),
        (3, False, (1.0,)),
        (4, True, (1.0, 3.0)),
        (5, True, (3.0, 4.0)),
    ]
    assert (tmp_path / "property").read_text() == "2,5,5"
    assert [line.split("\t")[0] for line in (tmp_path / "train.idx").read_text().splitlines()] == list("012345")


def test_faces_come_back_as_they_were_written(tmp_path):
    images = written(tmp_path)
    for index in (True, False):
        if not index:
            (tmp_path / "train.idx").unlink()
        with RecordIO(tmp_path, "small/faces") as source:
            assert payloads(source) == images and source.labels.tolist() == [0, 0, 1, 2, 2, 2]
            assert source.names == ("0", "1", "2") and source.damaged == ()
            assert source.where(2).startswith("small/faces/train.rec, record 3 at byte ")
            assert source.image(2).shape == (5, 5, 3)


@pytest.mark.parametrize("seed", range(20))
def test_any_record_comes_back(tmp_path, seed):
    draw = np.random.default_rng(seed)

    def anything():
        words = [MAGIC, b"", b"\0", b"abc", b"\x0a\x23", draw.bytes(int(draw.integers(9)))]
        payload = b"".join(words[int(at)] for at in draw.integers(0, len(words), draw.integers(0, 12)))
        labels = tuple(draw.standard_normal(int(draw.integers(1, 6))).astype(np.float32).tolist())
        id = [0, 1, 0xCED7230A, 0xCED7230A << 32, 2**64 - 1][int(draw.integers(5))]
        return Entry(labels, id, payload, len(labels) > 1 or bool(draw.integers(2)), int(draw.integers(1 << 40)))

    given = [anything() for _ in range(30)]
    with RecordWriter(tmp_path / "any.rec") as file:
        for number, entry in enumerate(given):
            file.write(number, pack(entry))
    assert entries(tmp_path / "any.rec") == (given, [])


@pytest.mark.parametrize("before", [b"", b"1234", b"1", b"12", b"123"])
@pytest.mark.parametrize("after", [b"", MAGIC, b"x", b"12345678"])
def test_an_image_that_holds_the_magic_is_split_and_joined(tmp_path, before, after):
    payload = before + MAGIC + after + b"end"
    source = simple(tmp_path, [Entry((3.0,), 1, payload), Entry((4.0,), 2, b"other")])
    assert payloads(source) == [payload, b"other"] and source.names == ("3", "4")
    content = (tmp_path / "train.rec").read_bytes()
    aligned = [at for at in range(0, len(content), 4) if content[at : at + 4] == MAGIC]
    for at in aligned:  # the promise of the format: a magic at a multiple of four begins a part
        length = struct.unpack_from("<I", content, at + 4)[0] & ((1 << 29) - 1)
        assert at + 8 + length <= len(content)


def test_an_id_that_is_the_magic_splits_the_header_itself(tmp_path):
    source = simple(tmp_path, [Entry((7.0,), 0xCED7230A, b"image"), Entry((8.0,), 1, b"second")])
    assert payloads(source) == [b"image", b"second"] and source.names == ("7", "8")


@pytest.mark.parametrize("index", [True, False])
def test_simple_records_carry_a_label_or_a_vector_whose_first_counts(tmp_path, index):
    given = [Entry((9.0,), 0, b"a"), Entry((2.0, 5.5), 1, b"b"), Entry((2.0,), 2, b"c", True), Entry((0.5,), 3, b"d")]
    source = simple(tmp_path, given, index)
    assert payloads(source) == [b"a", b"b", b"c", b"d"]
    assert source.names == ("0.5", "2", "9") and source.labels.tolist() == [2, 1, 1, 0]


def test_labels_need_not_be_contiguous(tmp_path):
    source = simple(tmp_path, [Entry((label,), 0, b"x") for label in (-4.0, 1e6, 17.0, -4.0)])
    assert source.names == ("-4", "17", "1000000") and source.labels.tolist() == [0, 2, 1, 0]


def test_records_without_an_image_or_a_label_are_left_out_and_said(tmp_path):
    given = [Entry((1.0,), 0, b"x"), Entry((1.0,), 1, b""), Entry((float("nan"),), 2, b"y"), Entry((2.0,), 3, b"z")]
    source = simple(tmp_path, given)
    assert payloads(source) == [b"x", b"z"]
    assert ["holds no image" in source.damaged[0], "has no label" in source.damaged[1]] == [True, True]
    assert all("record " in sentence(each) for each in source.damaged)


def test_identities_that_do_not_agree_with_their_header_are_told_by_each_record(tmp_path):
    given = [
        Entry((3.0, 5.0), 0),
        Entry((7.0,), 1, b"a"),
        Entry((8.0,), 2, b"b"),
        Entry((1.0, 2.0), 3),
        Entry((9.0, 12.0), 4),
    ]
    source = simple(tmp_path, given)
    assert source.names == ("7", "8") and payloads(source) == [b"a", b"b"]


# -- many workers ------------------------------------------------------------------------------------------


def taken(source, i):
    return source.payload(i)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_many_processes_read_one_source(tmp_path, method):
    images = written(tmp_path, (3, 3))
    source = RecordIO(tmp_path)
    source.payload(0)  # mapped before the processes begin
    with ProcessPoolExecutor(2 if method == "fork" else 1, mp_context=multiprocessing.get_context(method)) as pool:
        assert list(pool.map(taken, [source] * 6, range(6))) == images
    assert payloads(source) == images


def test_many_threads_read_one_source(tmp_path):
    images = written(tmp_path, (40,) * 2)
    source = RecordIO(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(source.payload, list(range(80)) * 5)) == images * 5


def test_a_pickle_holds_no_images_and_a_closed_source_opens_again(tmp_path):
    images = written(tmp_path)
    source = RecordIO(tmp_path)
    source.close()
    again = pickle.loads(pickle.dumps(source))
    assert payloads(again) == payloads(source) == images
    assert all(image not in pickle.dumps(source) for image in images)


def test_a_file_that_changed_while_it_was_open_is_a_sentence(tmp_path):
    written(tmp_path)
    source = RecordIO(tmp_path)
    with open(tmp_path / "train.rec", "r+b") as file:
        file.truncate(100)
    with pytest.raises(DataError, match="changed") as error:
        source.payload(0)
    sentence(error)
    with pytest.raises(DataError, match="changed"):
        pickle.loads(pickle.dumps(source)).payload(0)


def test_the_digest_is_that_of_the_files(tmp_path):
    written(tmp_path)
    first = RecordIO(tmp_path).digest()
    assert RecordIO(tmp_path, "another name").digest() == first
    (tmp_path / "train.idx").unlink()
    assert RecordIO(tmp_path).digest() != first


# -- damage ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    folder = tmp_path_factory.mktemp("small")
    write_faces(folder, people((2, 1), side=2))
    images = [face(person, take, 2) for person, take in ((0, 0), (0, 1), (1, 0))]
    return (folder / "train.rec").read_bytes(), (folder / "train.idx").read_bytes(), images


def put(folder, rec, idx):
    (folder / "train.rec").write_bytes(rec)
    if idx is None:
        (folder / "train.idx").unlink(missing_ok=True)
    else:
        (folder / "train.idx").write_bytes(idx)


@pytest.mark.parametrize("indexed", [True, False])
def test_a_rec_cut_anywhere_leaves_what_is_whole(tmp_path, small, indexed):
    rec, idx, images = small
    ends = [rec.index(image) + len(image) for image in images]
    with little_memory():
        for cut in range(len(rec)):
            put(tmp_path, rec[:cut], idx if indexed else None)
            assert readable_rest(lambda: RecordIO(tmp_path), images) == sum(end <= cut for end in ends), cut


@pytest.mark.parametrize("indexed", [True, False])
def test_a_rec_changed_anywhere_keeps_the_other_records(tmp_path, small, indexed):
    rec, idx, images = small
    with little_memory():
        for at, changed in changes(rec):
            put(tmp_path, changed, idx if indexed else None)
            assert readable_rest(lambda: RecordIO(tmp_path), images) >= len(images) - 1, at


def test_an_idx_cut_or_changed_anywhere_costs_nothing(tmp_path, small):
    rec, idx, images = small
    with little_memory():
        for said in [idx[:cut] for cut in range(len(idx))] + [changed for _, changed in changes(idx)]:
            put(tmp_path, rec, said)
            with RecordIO(tmp_path) as source:
                assert sorted(payloads(source)) == sorted(images), said
                assert source.names == ("0", "1")


def test_lengths_that_are_lies_take_no_memory(tmp_path):
    image = face(0, 0)
    lies = [
        MAGIC + struct.pack("<I", (1 << 29) - 1),  # half a gigabyte
        MAGIC + struct.pack("<I", 1 << 29 | 24) + bytes(24),  # a first part without a second
        MAGIC + struct.pack("<I", 3 << 29 | 24) + bytes(24),  # a last one without a first
        MAGIC + struct.pack("<IIfQQ", 24, 0xFFFFFFFF, 0.0, 0, 0),  # four thousand million labels
        MAGIC + struct.pack("<I", 4),  # shorter than a header
        MAGIC * 50,
        b"no record at all!!!!",
    ]
    with little_memory():
        for lie in lies:
            lie += bytes(-len(lie) % 4)
            (tmp_path / "train.rec").write_bytes(recordio.framed(pack(Entry((0.0,), 0, image))) + lie)
            source = RecordIO(tmp_path)
            assert payloads(source) == [image] and source.damaged
            (tmp_path / "train.rec").write_bytes(lie + recordio.framed(pack(Entry((0.0,), 0, image))))
            assert payloads(RecordIO(tmp_path)) == [image]


def test_a_record_in_endless_parts_ends(tmp_path):
    part = MAGIC + struct.pack("<I", 2 << 29)
    (tmp_path / "train.rec").write_bytes((MAGIC + struct.pack("<I", 1 << 29)) * 500 + part * 5000)
    with pytest.raises(DataError, match="no image") as error:
        RecordIO(tmp_path)
    sentence(error)


@pytest.mark.parametrize("content", [b"", b"\0", b"not a record at all", MAGIC])
def test_a_file_without_a_record_is_a_sentence(tmp_path, content):
    (tmp_path / "train.rec").write_bytes(content)
    with pytest.raises(DataError) as error:
        RecordIO(tmp_path, "faces")
    assert "faces/train.rec" in sentence(error)


def test_a_record_that_is_no_image_is_named(tmp_path):
    source = simple(tmp_path, [Entry((0.0,), 0, face(0, 0)), Entry((0.0,), 1, b"GIF89a")])
    assert source.image(0).shape == (5, 5, 3)
    with pytest.raises(DataError, match="train.rec, record 1 at byte .* is not a whole") as error:
        source.image(1)
    sentence(error)


def test_writing_that_breaks_off_leaves_no_file(tmp_path):
    with pytest.raises(ZeroDivisionError), RecordWriter(tmp_path / "train.rec") as file:
        file.write(0, b"x")
        raise ZeroDivisionError
    assert not list(tmp_path.iterdir())
