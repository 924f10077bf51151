"""Evaluation: every number against its definition, worked out slowly and apart from the library."""

import csv
import json

import numpy as np
import pytest
import torch
from evaluation_cases import FACES, slow_cosines, slow_tar, write_ijb
from PIL import Image

from losslab import models
from losslab.data import DataError
from losslab.data.faces.decode import png
from losslab.data.faces.decoded import Form
from losslab.data.faces.pairs import Pairs, read_pairs
from losslab.evaluation import PairSet, Result, evaluate, open_network, read_ijb, table, write
from losslab.evaluation.align import POINTS, similarity, warped
from losslab.evaluation.ijb import templates
from losslab.evaluation.network import blue_first, turn_around
from losslab.training import Recipe, Run, RunError, RunWriter, probe, record, restore, train
from losslab.verification import ten_fold_accuracy

needs_faces = pytest.mark.skipif(not FACES.exists(), reason=f"There are no face images in {FACES}.")
IN_COLOUR = Form(size=112, crop=0.0, grey=False)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return models.make("tiny", 16, (3, 112, 112)).train()


@pytest.fixture(scope="module")
def ijb(tmp_path_factory):
    return write_ijb(tmp_path_factory.mktemp("ijb") / "IJBC")


def drawn_pairs(count=12, seed=0, side=112):
    draw = np.random.default_rng(seed)
    payloads = tuple(png(draw.integers(0, 256, (side, side, 3), dtype=np.uint8)) for _ in range(2 * count))
    return Pairs("drawn.bin", payloads, np.arange(count) % 3 == 0)


# -- alignment -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_a_similarity_transform_is_found_again(seed):
    draw = np.random.default_rng(seed)
    angle, scale, shift = draw.uniform(-3, 3), draw.uniform(0.3, 3), draw.uniform(-50, 50, 2)
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = draw.uniform(0, 200, (5, 2))
    found = similarity(points, points @ turn.T + shift)
    assert np.allclose(found, np.column_stack([turn, shift]))


@pytest.mark.parametrize("seed", range(5))
def test_no_other_similarity_brings_points_closer(seed):
    """Neither a near one nor the one that Umeyama's singular values give."""
    draw = np.random.default_rng(seed)
    points, onto = draw.uniform(0, 200, (5, 2)), POINTS * [1 if seed % 2 else -1, 1]  # also onto a mirror image

    def miss(transform):
        return np.square(points @ transform[:, :2].T + transform[:, 2] - onto).sum()

    found = similarity(points, onto)
    assert np.linalg.det(found[:, :2]) > 0 and np.isclose(found[0, 0], found[1, 1])
    a, b = points - points.mean(0), onto - onto.mean(0)
    left, values, right = np.linalg.svd(b.T @ a / 5)
    keep = np.array([1, np.sign(np.linalg.det(left @ right))])
    turn = left @ np.diag(keep) @ right * (values @ keep) / a.var(0).sum()
    assert np.allclose(found, np.column_stack([turn, onto.mean(0) - turn @ points.mean(0)]))
    for _ in range(50):
        re, im, x, y = draw.normal(0, 0.01, 4)
        assert miss(found + np.array([[re, -im, x], [im, re, y]])) >= miss(found)


def test_points_that_fall_together_are_refused():
    with pytest.raises(ValueError, match="fall together"):
        similarity(np.full((5, 2), 7.0))


def test_a_warp_is_bilinear_and_black_outside():
    draw = np.random.default_rng(0)
    image = draw.integers(0, 256, (9, 7, 3), dtype=np.uint8)
    transform = similarity(draw.uniform(0, 7, (5, 2)), draw.uniform(0, 12, (5, 2)))
    found = warped(image, transform, side=12)
    inverse = np.linalg.inv(np.vstack([transform, [0, 0, 1]]))
    outside = 0
    for row in range(12):
        for column in range(12):
            x, y, _ = inverse @ [column, row, 1]
            value = np.zeros(3)
            for j in (int(np.floor(y)), int(np.floor(y)) + 1):
                for i in (int(np.floor(x)), int(np.floor(x)) + 1):
                    if 0 <= j < 9 and 0 <= i < 7:
                        value += image[j, i] * (1 - abs(x - i)) * (1 - abs(y - j))
            outside += not value.any()
            assert np.abs(found[row, column] - value).max() <= 0.501
    assert outside > 0


def test_an_aligned_face_stays_as_it_is():
    image = np.random.default_rng(0).integers(0, 256, (112, 112, 3), dtype=np.uint8)
    assert np.array_equal(warped(image, similarity(POINTS)), image)


def test_a_warp_is_the_one_that_pillow_makes():
    image = np.random.default_rng(0).integers(0, 256, (130, 140, 3), dtype=np.uint8)
    smooth = np.asarray(Image.fromarray(image).resize((280, 260), Image.Resampling.BICUBIC))
    transform = similarity(POINTS[::-1] * 1.3 + 40)
    ours = warped(smooth, transform).astype(int)
    a, b, c, d, e, f = np.linalg.inv(np.vstack([transform, [0, 0, 1]]))[:2].ravel()
    shift = 0.5  # Pillow's pixels are at halves
    moved = (a, b, c + shift - shift * (a + b), d, e, f + shift - shift * (d + e))
    theirs = np.asarray(
        Image.fromarray(smooth).transform((112, 112), Image.Transform.AFFINE, moved, Image.Resampling.BILINEAR)
    )
    inside = ours[8:-8, 8:-8].any(2) & theirs[8:-8, 8:-8].any(2)
    assert inside.mean() > 0.3
    assert np.abs(ours[8:-8, 8:-8] - theirs[8:-8, 8:-8])[inside].max() <= 1


# -- templates -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_a_template_is_the_sum_of_the_means_of_its_media(seed):
    draw = np.random.default_rng(seed)
    embedding, template, media = draw.normal(size=(60, 5)), draw.integers(3, 12, 60), draw.integers(0, 4, 60)
    direction, number = templates(embedding, template, media)
    assert number.tolist() == sorted(set(template.tolist()))
    for row, each in zip(direction, number, strict=True):
        mine = {m for t, m in zip(template, media, strict=True) if t == each}
        total = sum(embedding[(template == each) & (media == m)].mean(0) for m in mine)
        assert np.allclose(row, total / np.linalg.norm(total))


@pytest.mark.parametrize("length", [True, False])
@pytest.mark.parametrize("score", [True, False])
def test_ijb_against_loops_over_its_files(model, ijb, length, score):
    faces = read_ijb(ijb, length=length, score=score)
    results = evaluate(model, [faces], "cpu")
    assert model.training and all(part.training for part in model.modules())
    cosine, same = slow_cosines(model.eval(), faces, ijb, "ijbc", length, score)
    model.train()
    assert faces.name == "ijbc" and len(cosine) == 24 * 23 // 2
    rates = [1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6]
    assert [each.measure for each in results] == [f"TAR at FAR 1e-{i}" for i in range(1, 7)]
    for far, result in zip(rates, results, strict=True):
        assert result.value == pytest.approx(slow_tar(cosine, same, far)) and result.value > 0
        assert (result.genuine, result.impostor) == (same.sum(), (~same).sum())
        assert result.low <= result.value <= result.high
        accepted = cosine > result.threshold + 1e-6
        assert accepted[~same].mean() <= far
    assert len({each.value for each in results}) > 1, "faces too easy to tell anything"
    assert results[0].note == "" and "240 impostor pairs" in results[-1].note


def test_how_images_are_weighed_changes_the_numbers(model, ijb):
    numbers = {
        tuple(each.threshold for each in evaluate(model, [read_ijb(ijb, length=length, score=score)], "cpu"))
        for length in (True, False)
        for score in (True, False)
    }
    assert len(numbers) == 4


def test_an_aligned_face_has_its_points_where_networks_expect_them(ijb):
    """The five blots of a drawn face, which were turned and resized, come to the standard points."""
    faces = read_ijb(ijb)
    images = np.mean([np.abs(faces.image(i).astype(float) - 90) for i in range(len(faces))], axis=(0, 3))
    near = np.zeros((112, 112), bool)
    for x, y in POINTS.round().astype(int):
        near[y - 3 : y + 4, x - 3 : x + 4] = True
    far = np.zeros((112, 112), bool)
    far[5:35, 40:75] = True  # the forehead
    assert images[near].mean() > 1.5 * images[far].mean()


# -- pairs -----------------------------------------------------------------------------------------------


@needs_faces
def test_a_bin_set_by_the_protocol():
    pairs = read_pairs(FACES / "casia_format" / "orl.bin")
    images = torch.from_numpy(np.stack([pairs.image(i).transpose(2, 0, 1) for i in range(800)]))
    torch.manual_seed(0)
    model = models.make("tiny", 16, (3, 112, 112))
    with torch.no_grad():
        for part in images[:400].split(40):
            model(part)  # so that its normalisation knows faces, and embeddings point in many directions
        accuracy, *rates = evaluate(model, [PairSet(pairs)], "cpu")
        embedding = (model.eval()(images) + model(images.flip(3))).double().numpy()
    folds = ten_fold_accuracy(embedding, pairs.same)
    assert accuracy.set == "orl" and accuracy.measure == "accuracy"
    assert accuracy.value == pytest.approx(folds.mean) and accuracy.spread == pytest.approx(folds.spread)
    unit = embedding / np.linalg.norm(embedding, axis=1, keepdims=True)
    cosine = (unit[::2] * unit[1::2]).sum(1)
    decided = (cosine > accuracy.threshold) == pairs.same
    assert decided.mean() == pytest.approx(accuracy.value, abs=0.03)
    for far, result in zip((1e-1, 1e-2, 1e-3), rates, strict=True):
        assert result.value == pytest.approx(slow_tar(cosine, pairs.same, far))
        assert (result.genuine, result.impostor) == (200, 200)
    assert not rates[1].note and "200 impostor pairs" in rates[2].note


def test_the_mirror_image_can_be_left_out(model):
    with_flip, without = (evaluate(model, [PairSet(drawn_pairs())], "cpu", flip=flip) for flip in (True, False))
    assert with_flip != without


def test_images_take_the_form_of_the_network():
    grey = models.make("residual", 8, (1, 32, 32))
    results = evaluate(grey, [PairSet(drawn_pairs())], "cpu", form=Form(size=32, crop=0.1, grey=True))
    assert len(results) == 4


def test_progress_is_told(model):
    told = []
    evaluate(model, [PairSet(drawn_pairs(), "mine")], "cpu", progress=lambda *said: told.append(said))
    assert told == [("mine", 24, 24)]


def test_parts_that_rest_stay_at_rest():
    model = models.make("tiny", 4, (3, 112, 112)).train()
    model.centre.eval()
    evaluate(model, [PairSet(drawn_pairs())], "cpu")
    assert model.training and model.features.training and not model.centre.training


@pytest.mark.parametrize("same", [[True] * 12, [False] * 12, [True, False] * 4])
def test_pairs_that_cannot_verify_are_refused_before_any_work(same):
    pairs = drawn_pairs(len(same))
    with pytest.raises(ValueError, match="some of each and at least 10"):
        PairSet(Pairs("a.bin", pairs.payloads, np.array(same)))


def test_a_damaged_image_is_named(model):
    pairs = drawn_pairs()
    damaged = Pairs("a.bin", (*pairs.payloads[:-1], b"no image"), pairs.same)
    with pytest.raises(DataError, match="a.bin, image 2 of pair 11"):
        evaluate(model, [PairSet(damaged)], "cpu")
    assert model.training


def test_a_diverged_network_is_told_so():
    model = models.make("tiny", 4, (3, 112, 112))
    torch.nn.init.constant_(model.embed.bias, torch.nan)
    with pytest.raises(ValueError, match="not finite"):
        evaluate(model, [PairSet(drawn_pairs())], "cpu")


# -- files of IJB that say something else ----------------------------------------------------------------


def changed(folder, file, change):
    path = folder / "meta" / file
    path.write_text(change(path.read_text()))


@pytest.mark.parametrize(
    ("file", "change", "says"),
    [
        ("ijbc_face_tid_mid.txt", lambda text: text.split("\n", 1)[1], "go together line by line"),
        ("ijbc_face_tid_mid.txt", lambda text: text.replace(" 1\n", " one\n", 1), "something else than numbers"),
        ("ijbc_face_tid_mid.txt", lambda text: text.replace("1.jpg ", "1.jpg -", 1), "a number that cannot be"),
        ("ijbc_face_tid_mid.txt", lambda text: text.replace(" 1\n", f" {10**20}\n", 1), "a number that cannot be"),
        ("ijbc_face_tid_mid.txt", lambda text: "", "is empty"),
        ("ijbc_name_5pts_score.txt", lambda text: text + "x.jpg 1 2\n", "has 3 words and must have 12"),
        ("ijbc_name_5pts_score.txt", lambda text: text.replace("2.jpg", "../2.jpg", 1), "does not lie in loose_crop"),
        ("ijbc_name_5pts_score.txt", lambda text: text.replace("2.jpg", "/etc/2.jpg", 1), "does not lie"),
        ("ijbc_name_5pts_score.txt", lambda text: text.replace(".", "n.", 2), "something else than numbers"),
        (
            "ijbc_name_5pts_score.txt",
            lambda text: text.replace("jpg ", "jpg " + 99 * "9", 1),
            "a number that cannot be",
        ),
        ("ijbc_name_5pts_score.txt", lambda text: "1.jpg" + 11 * " 5" + text[text.index("\n") :], "line 1, has five"),
        ("ijbc_template_pair_label.txt", lambda text: text.replace(" 1\n", " 0\n"), "some of each"),
        ("ijbc_template_pair_label.txt", lambda text: "", "some of each"),
        ("ijbc_template_pair_label.txt", lambda text: text + "10 99 0\n", "template 99, which has no face"),
        ("ijbc_template_pair_label.txt", lambda text: text + "10 11\n", "three whole numbers"),
        ("ijbc_template_pair_label.txt", lambda text: text + "10 11 x\n", "three whole numbers"),
    ],
)
@pytest.mark.filterwarnings("error")
def test_damaged_files_are_refused_with_a_sentence(tmp_path, file, change, says):
    folder = write_ijb(tmp_path / "IJBC", people=2)
    changed(folder, file, change)
    with pytest.raises(DataError, match=says):
        read_ijb(folder)


def test_missing_files_are_named(tmp_path):
    with pytest.raises(DataError, match="0 files meta"):
        read_ijb(tmp_path)
    folder = write_ijb(tmp_path / "IJBB", "ijbb", people=2)
    assert read_ijb(folder).name == "ijbb"
    (folder / "loose_crop" / "3.jpg").unlink()
    with pytest.raises(DataError, match="ijbb, 3.jpg cannot be read"):
        read_ijb(folder).image(2)
    for name in ("ijbb_template_pair_label.txt", "ijbb_name_5pts_score.txt"):
        (folder / "meta" / name).unlink()
        with pytest.raises(DataError, match=name):
            read_ijb(folder)


# -- networks --------------------------------------------------------------------------------------------


def test_a_run_is_opened_as_what_it_is(tmp_path):
    recipe = Recipe(classes=(0, 1), per_class=20, epochs=1, probe=20, model="mlp")
    with RunWriter(tmp_path / "run", recipe, probe(recipe)) as writer:
        record(train(recipe), writer, lambda snapshot: None)
    network = open_network(tmp_path / "run")
    assert (network.name, network.dim, network.form) == ("mlp", 3, Form(size=28, crop=0.0, grey=True))
    images = torch.from_numpy(Run(tmp_path / "run").probe.pixels)
    with torch.no_grad():
        assert torch.equal(network.model(images), restore(Run(tmp_path / "run"))[0](images))


@pytest.mark.parametrize("name", ["tiny", "mlp", "residual", "iresnet18"])
@torch.no_grad()
def test_a_network_that_was_trained_on_blue_first_is_turned_around(name):
    model = models.make(name, 8, (3, 32, 32)).eval()
    images = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8)
    before = model(images.flip(1))
    turn_around(model)
    assert (model(images) - before).norm() < 1e-4 * before.norm() < (model(images.flip(1)) - before).norm()


def test_a_run_at_full_scale_says_which_colour_comes_first(tmp_path):
    assert not blue_first(tmp_path)
    for colour in ("rgb", "bgr", "grey"):
        (tmp_path / "scale.json").write_text(json.dumps({"colour": colour}))
        assert blue_first(tmp_path) is (colour == "bgr")
    (tmp_path / "scale.json").write_text("{}")
    with pytest.raises(RunError, match="does not say which colour"):
        blue_first(tmp_path)


def test_weights_in_others_namings_are_opened(tmp_path):
    model = models.make("iresnet18", 8, (3, 32, 32)).eval()
    torch.save({"module." + name: value for name, value in model.state_dict().items()}, tmp_path / "a.pth")
    network = open_network(tmp_path / "a.pth", "iresnet18", 8, Form(size=32, crop=0.0, grey=False))
    images = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    with torch.no_grad():
        assert torch.equal(network.model(images), model(images))
    with pytest.raises(ValueError, match="does not say which network"):
        open_network(tmp_path / "a.pth")
    with pytest.raises(ValueError, match="512 numbers|this network has"):
        open_network(tmp_path / "a.pth", "iresnet18")
    with pytest.raises(ValueError, match="no model called"):
        open_network(tmp_path / "a.pth", "resnet")


def test_what_weights_say_of_themselves_is_looked_at(tmp_path):
    said = {"model": "mlp", "dim": 10**9, "size": 28, "crop": 0.0, "grey": True}
    torch.save({"state_dict": {"a": torch.zeros(1)}, "losslab": said}, tmp_path / "a.pt")
    with pytest.raises(ValueError, match="something impossible"):
        open_network(tmp_path / "a.pt")
    torch.save({"state_dict": {"a": torch.zeros(1)}, "losslab": {"model": "mlp"}}, tmp_path / "a.pt")
    with pytest.raises(ValueError, match="does not say its dim"):
        open_network(tmp_path / "a.pt")


# -- what is shown and kept ------------------------------------------------------------------------------

ROWS = [
    Result(set="lfw", measure="accuracy", value=0.995, spread=0.003, threshold=0.21, genuine=3000, impostor=3000),
    Result(
        set="lfw", measure="TAR at FAR 1e-6", value=0.9, low=0.8, high=0.95, threshold=0.5, genuine=3000,
        impostor=3000, note="With few pairs little can be told.",
    ),
]  # fmt: skip


def test_a_table_says_what_is_behind_its_numbers():
    said = table(ROWS)
    assert "99.50" in said and "± 0.30" in said and "80.00 to 95.00" in said and "3,000 + 3,000" in said
    assert "TAR at FAR 1e-6 [1]" in said and "[1] With few pairs" in said


def test_numbers_that_cannot_be_written_are_said(tmp_path):
    (tmp_path / "a.csv").mkdir()
    with pytest.raises(ValueError, match="a.csv .*: choose another --out"):
        write(tmp_path / "a.csv", ROWS, {})


def test_numbers_are_written_and_read_again(tmp_path):
    write(tmp_path / "a.csv", ROWS, {"model": "tiny"})
    with (tmp_path / "a.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["value"]) for row in rows] == [0.995, 0.9] and rows[0]["low"] == "" and rows[1]["note"]
    write(tmp_path / "a.json", ROWS, {"model": "tiny"})
    held = json.loads((tmp_path / "a.json").read_text())
    assert held["network"] == {"model": "tiny"} and [Result(**row) for row in held["results"]] == ROWS
