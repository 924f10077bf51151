"""Export: what is read again, by other programs too, embeds as the network does."""

import json
import re
from pathlib import Path

import pytest
import torch
from command_cases import losslab

from losslab import export as exports
from losslab import models
from losslab.data.faces.decoded import Form
from losslab.evaluation import Network, open_network
from losslab.export import ExportError, export, facts
from losslab.models.weights import load_weights

FORMS = {
    "tiny": Form(size=28, crop=0.0, grey=True),
    "mlp": Form(size=28, crop=0.0, grey=True),
    "residual": Form(size=48, crop=0.1, grey=False),
    "iresnet18": Form(size=32, crop=0.0, grey=False),
}


def network(name, form=None):
    form = form or FORMS[name]
    torch.manual_seed(0)
    model = models.make(name, 8, form.shape)
    with torch.no_grad():
        for _ in range(3):  # so that normalisations have something of their own to say
            model(torch.randint(0, 256, (8, *form.shape), dtype=torch.uint8))
    return Network(model.eval(), name, 8, form, "here")


def images(form, count):
    return torch.randint(0, 256, (count, *form.shape), dtype=torch.uint8, generator=torch.Generator().manual_seed(9))


@pytest.fixture(scope="module", params=FORMS)
def made(request):
    return network(request.param)


@torch.no_grad()
def test_onnx_embeds_as_pytorch_does(made, tmp_path):
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    assert export(made, tmp_path / "a.onnx") < 1e-4
    assert [each.name for each in tmp_path.iterdir()] == ["a.onnx"]
    session = runtime.InferenceSession(tmp_path / "a.onnx", providers=["CPUExecutionProvider"])
    (given,), (taken,) = session.get_outputs(), session.get_inputs()
    assert (taken.name, taken.type, taken.shape) == ("images", "tensor(uint8)", ["batch", *made.form.shape])
    assert (given.name, given.shape) == ("embedding", ["batch", 8])
    for count in (1, 3, 7):
        batch = images(made.form, count)
        (found,) = session.run(None, {"images": batch.numpy()})
        assert torch.allclose(torch.from_numpy(found), made.model(batch), rtol=1e-3, atol=1e-4)
    held = {each.key: each.value for each in onnx.load(tmp_path / "a.onnx").metadata_props}
    assert held.items() >= facts(made).items()
    onnx.checker.check_model(onnx.load(tmp_path / "a.onnx"))


@torch.no_grad()
def test_a_program_embeds_as_pytorch_does(made, tmp_path):
    assert export(made, tmp_path / "a.pt2") < 1e-4
    held = {"losslab.json": ""}
    program = torch.export.load(tmp_path / "a.pt2", extra_files=held).module()
    for count in (1, 3, 7):
        batch = images(made.form, count)
        assert torch.allclose(program(batch), made.model(batch), rtol=1e-3, atol=1e-4)
    assert json.loads(held["losslab.json"]) == facts(made)


@torch.no_grad()
def test_weights_say_themselves_what_they_are_of(made, tmp_path):
    assert export(made, tmp_path / "a.pt") == 0
    again = open_network(tmp_path / "a.pt")
    assert (again.name, again.dim, again.form) == (made.name, made.dim, made.form)
    batch = images(made.form, 3)
    assert torch.equal(again.model(batch), made.model(batch)) and not again.model.training
    held = torch.load(tmp_path / "a.pt", weights_only=True)  # as anybody would
    assert held["state_dict"].keys() == made.model.state_dict().keys() and held["facts"] == facts(made)


@torch.no_grad()
def test_weights_are_read_as_those_of_others_are(tmp_path):
    export(network("iresnet18"), tmp_path / "a.pt")
    model = models.make("iresnet18", 8, (3, 32, 32)).eval()
    load_weights(model, tmp_path / "a.pt")
    batch = images(FORMS["iresnet18"], 2)
    assert torch.equal(model(batch), network("iresnet18").model(batch))


def test_facts_are_those_of_the_network():
    said = facts(network("residual"))
    assert said["colour_order"] == "RGB" and "(pixel - 127.5) / 127.5" in said["normalisation"]
    assert said["input"].startswith("images: uint8 [batch, 3, 48, 48]") and "0.1 of the side" in said["crop"]
    assert facts(network("tiny"))["colour_order"] == "grey"


def test_a_file_that_embeds_otherwise_is_not_kept(tmp_path, monkeypatch):
    made = network("tiny")

    def worse(_, path):
        return lambda batch: made.model(batch) * 1.01

    monkeypatch.setitem(exports.WRITERS, ".pt", (exports.write_weights, worse))
    with pytest.raises(ExportError, match="other embeddings, 0.01"):
        export(made, tmp_path / "a.pt")
    monkeypatch.setitem(
        exports.WRITERS, ".pt", (exports.write_weights, lambda *_: lambda batch: made.model(batch) * torch.nan)
    )
    with pytest.raises(ExportError, match="other embeddings"):
        export(made, tmp_path / "a.pt")
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Nothing here behaves as a full disk.")
@pytest.mark.parametrize("kind", [".pt", ".pt2"])
def test_a_full_disk_is_said(tmp_path, monkeypatch, kind):
    writer, reader = exports.WRITERS[kind]
    monkeypatch.setitem(exports.WRITERS, kind, (lambda made, _: writer(made, Path("/dev/full")), reader))
    with pytest.raises(ExportError, match=rf"a\{kind} cannot be written \(No space left on device\): make room"):
        export(network("tiny"), tmp_path / f"a{kind}")
    assert not list(tmp_path.iterdir())


def test_without_its_packages_onnx_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    with pytest.raises(ExportError, match=r'onnxruntime, which is not here: pip install "losslab\[export\]"'):
        export(network("tiny"), tmp_path / "a.onnx")
    assert not list(tmp_path.iterdir())


# -- the command -----------------------------------------------------------------------------------------


def test_the_command_writes_a_file_and_says_what_it_takes(tmp_path, capsys):
    export(network("tiny"), tmp_path / "a.pt")
    code, said, errors = losslab("export", tmp_path / "a.pt", "--out", tmp_path / "b.pt2", capsys=capsys)
    assert code == 0 and (tmp_path / "b.pt2").exists(), errors
    assert re.search(r"b\.pt2; its embeddings are PyTorch's to \S+ of their length", said)
    assert "images: uint8 [batch, 1, 28, 28]" in said and "colour_order: grey" in said


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["a.pt", "--out", "b.txt"], "must end in one of .onnx, .pt2, .pt"),
        (["a.pt", "--out", "no/b.pt2"], "there is no folder"),
        (["none.pt", "--out", "b.pt2"], "none.pt cannot be read"),
        (["a.pt"], "--out"),
    ],
)
def test_a_mistake_is_answered_with_one_sentence(tmp_path, monkeypatch, words, says, capsys):
    export(network("tiny"), tmp_path / "a.pt")
    monkeypatch.chdir(tmp_path)
    code, out, said = losslab("export", *words, capsys=capsys)
    assert code == 2 and out == "" and said.count("\n") == 1 and says in said
    assert [each.name for each in tmp_path.iterdir()] == ["a.pt"]


def test_a_folder_is_not_overwritten(tmp_path, capsys):
    export(network("tiny"), tmp_path / "a.pt")
    (tmp_path / "b.pt").mkdir()
    code, _, said = losslab("export", tmp_path / "a.pt", "--out", tmp_path / "b.pt", capsys=capsys)
    assert code == 2 and said.count("\n") == 1 and "b.pt cannot be written (Is a directory)" in said
