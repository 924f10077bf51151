"""`python -m losslab data`: faces listed, checked, shown and converted."""

import pytest
from command_cases import losslab
from face_cases import REAL, face, people, real

from losslab.data.faces import folders, open_source
from losslab.data.faces.decode import decode


@pytest.fixture
def here(tmp_path, monkeypatch):
    folders.write_faces(tmp_path / "data/some/faces", people((3, 1, 2)))
    monkeypatch.setenv("LOSSLAB_DATA", str(tmp_path / "data"))
    return tmp_path


def test_faces_are_listed_with_people_and_images(here, capsys):
    (here / "data/bad").mkdir()
    (here / "data/bad/train.rec").write_bytes(b"?")
    code, said, _ = losslab("data", capsys=capsys)
    assert code == 0 and "some/faces  (faces, folders)\n    3 people, 6 images\n" in said
    assert "bad  (faces, RecordIO)\n    bad/train.rec holds no image" in said
    assert "mnist  (here)" in said and "losslab data get lfw" in said and "losslab data get olivetti" in said


def test_a_check_tells_sizes_and_counts(here, capsys):
    code, said, _ = losslab("data", "check", "some/faces", capsys=capsys)
    assert code == 0
    assert "3 people, 6 images" in said and "1 to 3, median 2" in said and "5 x 5 (6)" in said
    assert "copies: 0" in said and "damaged: 0" in said


def test_a_check_names_what_is_damaged_and_what_is_there_twice(here, capsys):
    (here / "data/some/faces/p0/000001.png").write_bytes(b"?")
    (here / "data/some/faces/p0/000002.png").write_bytes(face(0, 0))
    code, said, _ = losslab("data", "--folder", here / "data", "check", "some/faces", capsys=capsys)
    assert code == 1 and "damaged: 1\n        some/faces/p0/000001.png is not" in said
    assert "copies: 1\n        some/faces/p0/000000.png = some/faces/p0/000002.png\n" in said


@pytest.mark.parametrize("form", ["recordio", "folders", "shards"])
def test_a_conversion_can_be_used_at_once(here, form, capsys):
    words = ["data", "convert", "some/faces", "--to", form, "--out", here / "data" / "made"]
    code, said, _ = losslab(*words, capsys=capsys)
    assert code == 0 and "made" in said and "0 left out" in said
    with open_source("made") as made, open_source("some/faces") as source:
        assert [made.payload(i) for i in range(6)] == [source.payload(i) for i in range(6)]
    code, _, complaint = losslab(*words, capsys=capsys)
    assert code == 2 and "not empty" in complaint and complaint.count("\n") == 1


def test_a_conversion_says_what_it_left_out(here, capsys):
    (here / "data/some/faces/p2/000000.png").write_bytes(b"?")
    code, said, _ = losslab("data", "convert", "some/faces", "--to", "shards", "--out", here / "x", capsys=capsys)
    assert code == 1 and "1 left out\n        some/faces/p2/000000.png is not" in said


def test_a_sample_is_a_picture(here, capsys):
    code, said, _ = losslab("data", "sample", "some/faces", "--out", here / "sheet.png", capsys=capsys)
    assert code == 0 and "sheet.png" in said
    assert decode((here / "sheet.png").read_bytes(), "sheet").shape[0] == 3 * 100 + 4


@pytest.mark.parametrize(
    "words, sentence",
    [
        (["check", "../data/some/faces"], "There are no faces called"),
        (["check", "/etc"], "There are no faces called"),
        (["check"], "required"),
        (["sample", "some/faces"], "required"),
        (["sample", "some/faces", "--out", "/nowhere/at/all.png"], "cannot be written"),
        (["convert", "some/faces", "--to", "zip", "--out", "x"], "invalid choice"),
        (["convert", "some/faces", "--out", "x"], "required"),
        (["get", "vggface"], "There is no data set 'vggface'; there are .*olivetti, lfw"),
        (["burn", "some/faces"], "invalid choice"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(here, words, sentence, capsys, monkeypatch):
    monkeypatch.chdir(here)
    code, said, complaint = losslab("data", *words, capsys=capsys)
    assert code == 2 and said == "" and complaint.endswith(".\n") and complaint.count("\n") == 1
    import re

    assert re.search(sentence, complaint)
    assert sorted(path.name for path in here.iterdir()) == ["data"]


def test_faces_are_fetched_by_name(here, capsys, monkeypatch):
    asked = []
    monkeypatch.setattr("losslab.data.faces.fetched.fetch", lambda *given: asked.append(given) or "They are there.")
    code, said, _ = losslab("data", "get", "lfw", "--folder", here, capsys=capsys)
    assert (code, said, asked) == (0, "They are there.\n", [("lfw", here)])


@real
def test_the_real_faces_are_sound(capsys, monkeypatch):
    monkeypatch.setenv("LOSSLAB_DATA", str(REAL))
    for name, count in (("casia_format", "32 people, 320 images"), ("images", "40 people, 400 images")):
        code, said, _ = losslab("data", "check", name, capsys=capsys)
        assert code == 0 and count in said and "damaged: 0" in said
