"""`python -m losslab verify`: a network in, a table and a file out, on any number of processes."""

import argparse
import csv
import json
import re
import shutil

import numpy as np
import pytest
import torch
from command_cases import losslab
from evaluation_cases import FACES, side_by_side, write_ijb
from test_evaluation import drawn_pairs

from losslab import models
from losslab.asked_network import asked_network
from losslab.data.faces.decode import png
from losslab.data.faces.decoded import Form
from losslab.data.faces.pairs import write_pairs
from losslab.evaluation.network import Network
from losslab.export import export
from losslab.training import Recipe, RunWriter, probe, record, train

needs_faces = pytest.mark.skipif(not FACES.exists(), reason=f"There are no face images in {FACES}.")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with weights, a miniature of IJB and a `.bin` set of 300 pairs."""
    folder = tmp_path_factory.mktemp("verify")
    torch.manual_seed(0)
    form = Form(size=112, crop=0.0, grey=False)
    model = models.make("tiny", 16, form.shape).eval()
    export(Network(model, "tiny", 16, form, "here"), folder / "tiny.pt")
    torch.save(model.state_dict(), folder / "plain.pth")
    write_ijb(folder / "IJBC")
    drawn = drawn_pairs(150)
    write_pairs(folder / "drawn.bin", drawn.payloads, drawn.same.tolist())
    return folder


def numbers(path):
    return json.loads(path.read_text())["results"]


def test_a_table_and_a_file(place, tmp_path, capsys):
    words = ("verify", place / "tiny.pt", place / "drawn.bin", place / "IJBC", "--out", tmp_path / "a.json")
    code, said, errors = losslab(*words, capsys=capsys)
    assert code == 0, errors
    rows = numbers(tmp_path / "a.json")
    assert [row["set"] for row in rows] == ["drawn"] * 4 + ["ijbc"] * 6
    for row in rows:
        assert re.search(rf"^{row['set']} +{row['measure']}.* {100 * row['value']:.2f}", said, re.M)
    assert json.loads((tmp_path / "a.json").read_text())["network"] == {
        "source": "tiny.pt", "model": "tiny", "dim": 16, "size": 112, "crop": 0.0, "grey": False,
    }  # fmt: skip
    code, _, _ = losslab(*words[:-1], tmp_path / "a.csv", capsys=capsys)
    with (tmp_path / "a.csv").open() as file:
        again = list(csv.DictReader(file))
    assert code == 0 and [float(row["value"]) for row in again] == [row["value"] for row in rows]


def test_plain_weights_need_to_be_told_their_network(place, tmp_path, capsys):
    code, _, said = losslab("verify", place / "plain.pth", place / "drawn.bin", capsys=capsys)
    assert code == 2 and said.count("\n") == 1 and "add --model" in said
    words = (place / "drawn.bin", "--model", "tiny", "--dim", "16", "--out", tmp_path / "a.json")
    code, _, _ = losslab("verify", place / "plain.pth", *words, capsys=capsys)
    assert code == 0
    losslab("verify", place / "tiny.pt", place / "drawn.bin", "--out", tmp_path / "b.json", capsys=capsys)
    assert numbers(tmp_path / "a.json") == numbers(tmp_path / "b.json")


def test_flags_change_what_is_measured(place, tmp_path, capsys):
    found = []
    for flags in ([], ["--no-flip"], ["--no-length"], ["--no-score"]):
        code, _, _ = losslab(
            "verify", place / "tiny.pt", place / "IJBC", *flags, "--out", tmp_path / "a.json", capsys=capsys
        )
        assert code == 0
        found.append(str([row["threshold"] for row in numbers(tmp_path / "a.json")]))
    assert len(set(found)) == 4


@needs_faces
def test_a_run_by_its_name_on_all_sets_of_the_data_folder(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("LOSSLAB_RUNS", str(tmp_path / "runs"))
    recipe = Recipe(classes=(0, 1), per_class=20, epochs=1, probe=20, model="mlp")
    with RunWriter(tmp_path / "runs" / "mine", recipe, probe(recipe)) as writer:
        record(train(recipe), writer, lambda snapshot: None)
    (tmp_path / "data").mkdir()
    shutil.copy(FACES / "casia_format" / "orl.bin", tmp_path / "data")
    code, said, errors = losslab("verify", "mine", "--folder", tmp_path / "data", capsys=capsys)
    assert code == 0 and re.search(r"^orl +accuracy +\d\d\.\d\d", said, re.M), errors


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["nothing", "drawn.bin"], "nothing cannot be read"),
        (["tiny.pt", "no.bin"], "no.bin cannot be read"),
        (["tiny.pt", "lfw"], "There is no verification set 'lfw'"),
        (["tiny.pt", "IJBC/meta"], "name the folder IJBB or IJBC"),
        (["tiny.pt"], "There is no .bin set"),
        (["drawn.bin", "drawn.bin"], "is not opened|no file of weights"),
        (["IJBC", "drawn.bin"], "There is no run in"),
        (["tiny.pt", "drawn.bin", "--out", "a.txt"], "must end in .csv or .json"),
        (["tiny.pt", "drawn.bin", "--out", "no/a.csv"], "there is no folder"),
        (["tiny.pt", "drawn.bin", "--out", "folder.csv"], "that is a folder"),
        (["tiny.pt", "drawn.bin", "--dim", "0"], "must be 1 or more"),
        (["plain.pth", "drawn.bin", "--model", "tiny", "--dim", "16", "--colour", "bgr"], "leave colour out"),
        (["plain.pth", "drawn.bin", "--model", "mlp", "--dim", "16"], "of another"),
    ],
)
def test_a_mistake_is_answered_with_one_sentence(place, words, says, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(place)
    monkeypatch.setenv("LOSSLAB_DATA", str(tmp_path))
    (place / "folder.csv").mkdir(exist_ok=True)
    code, out, said = losslab("verify", *words, capsys=capsys)
    assert code == 2 and out == "" and said.count("\n") == 1 and re.search(says, said), said


@pytest.mark.parametrize("count", [2, 3])
def test_processes_give_the_numbers_of_one(place, tmp_path, count, capsys):
    """300 images are three batches, the miniature is one: some processes have nothing to do."""
    words = ("verify", place / "tiny.pt", place / "drawn.bin", place / "IJBC", "--out")
    losslab(*words, tmp_path / "one.json", capsys=capsys)
    outcome = side_by_side(count, *words, tmp_path / "many.json", cwd=tmp_path)
    assert [code for code, _, _ in outcome] == [0] * count, outcome
    assert numbers(tmp_path / "many.json") == numbers(tmp_path / "one.json")
    assert "accuracy" in outcome[0][1] and not any(out for _, out, _ in outcome[1:])


def test_what_one_process_meets_ends_all_with_one_sentence(place, tmp_path):
    """The last image, which is the second process's to embed, is damaged."""
    drawn = drawn_pairs(150)
    write_pairs(tmp_path / "bad.bin", [*drawn.payloads[:-1], b"no image"], drawn.same.tolist())
    outcome = side_by_side(2, "verify", place / "tiny.pt", tmp_path / "bad.bin", cwd=tmp_path)
    assert [code for code, _, _ in outcome] == [2, 2], outcome
    assert "bad.bin, image 2 of pair 149" in outcome[0][2] and not outcome[1][2]
    said = [line for line in outcome[0][2].splitlines() if "bad.bin" in line and "|" not in line]
    assert len(said) == 1


def test_images_of_other_sizes_are_made_to_fit(place, tmp_path, capsys):
    draw = np.random.default_rng(0)
    payloads = [png(draw.integers(0, 256, (90 + i, 112, 3), dtype=np.uint8)) for i in range(20)]
    write_pairs(tmp_path / "odd.bin", payloads, [True, False] * 5)
    code, said, _ = losslab("verify", place / "tiny.pt", tmp_path / "odd.bin", capsys=capsys)
    assert code == 0 and "odd" in said


# -- runs at full scale ----------------------------------------------------------------------------------


@needs_faces
@pytest.mark.parametrize("average", [0.0, 0.9])
@pytest.mark.parametrize("colour", ["rgb", "bgr"])
@torch.no_grad()
def test_a_run_at_full_scale_is_measured_by_its_newest_checkpoint(tmp_path, average, colour, capsys):
    from losslab.scale import ScaleRecipe
    from losslab.scale.processes import Processes
    from losslab.scale.training import How, train

    recipe = ScaleRecipe(
        source="casia_format", size=32, colour=colour, model="tiny", dim=16, epochs=1, batch=80, rate=0.02,
        average=average, shown=4, shown_images=2,
    )  # fmt: skip
    with torch.enable_grad():
        how = How(workers=0, save_every=2)
        engine = train(
            recipe,
            tmp_path / "run",
            Processes(torch.device("cpu")),
            folder=FACES,
            how=how,
            say=lambda sentence: None,
        )
    (tmp_path / "run" / "weights.npz").unlink(missing_ok=True)  # of large networks there is none before the end
    words = argparse.Namespace(network=str(tmp_path / "run"), model=None, dim=512, size=112, grey=False, colour="rgb")
    network = asked_network(words)
    images = torch.randint(0, 256, (5, 3, 32, 32), dtype=torch.uint8)
    trained = torch.func.functional_call(
        engine.network.eval(), engine.average or engine.network.state_dict(), (images,)
    )
    found = network.model(images.flip(1) if colour == "bgr" else images)
    assert torch.allclose(found, trained, rtol=1e-4, atol=1e-4) and network.form == Form(size=32, crop=0.0, grey=False)
    code, said, errors = losslab("verify", tmp_path / "run", FACES / "casia_format" / "orl.bin", capsys=capsys)
    assert code == 0 and "orl" in said, errors
    for part in (tmp_path / "run" / "checkpoints").glob("*/*.distcp"):
        part.write_bytes(part.read_bytes()[:100])
    code, _, errors = losslab("verify", tmp_path / "run", FACES / "casia_format" / "orl.bin", capsys=capsys)
    assert code == 2 and errors.count("\n") == 1
