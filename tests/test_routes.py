"""What a browser gets from the routes, and what nobody gets from them."""

import base64
import dataclasses
import io
import shutil
import struct
import threading
import time

import numpy as np
import pytest
import torch
from PIL import Image
from starlette.applications import Starlette
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from losslab.data.drawn import centred
from losslab.live import gaps, projector
from losslab.live import routes as live_routes
from losslab.live.pool import Pool
from losslab.live.routes import routes
from losslab.live.shelf import Cache
from losslab.losses import ArcFace
from losslab.training import Probe, Recipe, Run, RunWriter, Snapshot, probe, restore, train

RECIPE = Recipe(loss=ArcFace(scale=16, margin=0.2), classes=(3, 5), dim=3)
N = 60


def moment(step: int) -> Snapshot:
    rng = np.random.default_rng(step)
    return Snapshot(
        step=step,
        embedding=rng.normal(size=(N, 3)).astype(np.float32),
        prototypes=rng.normal(size=(2, 3)).astype(np.float32),
        loss=rng.random(N).astype(np.float32),
        gap=rng.normal(size=N).astype(np.float32),
        correct=np.ones(N, bool),
        scalars={"loss": 0.5},
        knobs={"scale": 16.0, "margin": 0.2, "gradient": "exact", "beyond": "monotone"},
        weights=None,
    )


def write(path, snapshots: int, state: str, recipe: Recipe = RECIPE, truth: np.ndarray | None = None) -> RunWriter:
    images = np.zeros((N, 28, 28), np.uint8)
    images += np.arange(N, dtype=np.uint8)[:, None, None]
    shown = Probe(
        images=images,
        labels=np.arange(N) % 2,
        split=np.arange(N, dtype=np.uint8) // 40,
        names=("3", "5"),
        truth=truth,
    )
    writer = RunWriter(path, recipe, shown)
    writer.state(state)
    for step in range(snapshots):
        writer.append(moment(step))
    return writer


@pytest.fixture
def folders(tmp_path):
    (tmp_path / "secret").mkdir()
    for name in ("runs", "recordings"):
        (tmp_path / name).mkdir()
    write(tmp_path / "runs" / "aa", 3, "done")
    write(tmp_path / "recordings" / "first-look", 70, "done")
    write(tmp_path / "hidden", 1, "done")
    return tmp_path


@pytest.fixture
def client(folders):
    pool = Pool(folders / "runs", slots=[])
    app = Starlette(routes=routes(lambda: pool, folders / "recordings"))
    with TestClient(app) as client:
        yield client


def unpack(body: bytes) -> list[bytes]:
    frames = []
    while body:
        (length,) = struct.unpack_from("<I", body)
        frames.append(body[4 : 4 + length])
        body = body[4 + length :]
    return frames


def index(frame: bytes) -> int:
    return struct.unpack_from("<4sI", frame)[1]


def test_a_run_tells_what_it_is_and_where_it_stands(client):
    facts = client.get("/losslab/runs/aa").json()
    assert facts["id"] == "aa" and facts["state"] == "done" and facts["snapshots"] == 3
    assert facts["queue"] == 0 and facts["recording"] is False and facts["dim"] == 3
    assert facts["classes"] == ["3", "5"] and len(facts["labels"]) == len(facts["split"]) == N
    assert facts["loss"] == "ArcFace"
    assert "ArcFace" in facts["title"]
    assert client.get("/losslab/runs/first-look").json()["recording"] is True


def test_the_sprite_sheet_holds_the_probe_images_in_order(client):
    sprite = client.get("/losslab/runs/aa").json()["sprite"]
    answer = client.get(sprite["url"])
    sheet = np.asarray(Image.open(io.BytesIO(answer.content)))
    assert answer.headers["content-type"] == "image/png"
    for i in (0, 49, 50, 59):
        row, column = divmod(i, sprite["columns"])
        assert (sheet[row * sprite["height"], column * sprite["width"]] == i).all()
    assert client.get(sprite["url"], headers={"if-none-match": answer.headers["etag"]}).status_code == 304


def test_frames_come_in_bundles_of_bounded_size(client, monkeypatch):
    answer = client.get("/losslab/runs/aa/frames?start=1&count=5")
    assert [index(frame) for frame in unpack(answer.content)] == [1, 2]
    assert answer.headers["losslab-state"] == "done"
    assert client.get("/losslab/runs/aa/frames?start=3").content == b""
    assert len(unpack(client.get("/losslab/runs/first-look/frames?start=0&count=500").content)) == 64
    monkeypatch.setattr(live_routes, "MOST_BYTES", 1)
    assert [index(frame) for frame in unpack(client.get("/losslab/runs/aa/frames").content)] == [0]
    for query in ("start=x", "start=-1", "count=-1", "start=1.5"):
        assert client.get(f"/losslab/runs/aa/frames?{query}").status_code == 400


def test_a_watcher_gets_frames_as_they_appear_and_then_the_end(client, folders):
    writer = write(folders / "runs" / "bb", 1, "running")
    with client.websocket_connect("/losslab/runs/bb/watch") as socket:
        socket.send_json({"next": 0})
        first = socket.receive_bytes()
        assert first == unpack(client.get("/losslab/runs/bb/frames").content)[0]

        socket.send_json({"next": 1})
        time.sleep(0.2)
        writer.append(moment(1))
        assert index(socket.receive_bytes()) == 1

        socket.send_json({"next": 2})
        assert socket.receive_json() == {"state": "running", "reason": "", "snapshots": 2, "queue": 0}

        socket.send_json({"next": 2})
        asked = time.monotonic()
        threading.Timer(0.1, writer.state, ("failed", "It diverged.")).start()
        assert socket.receive_json() == {
            "state": "failed",
            "reason": "It diverged.",
            "snapshots": 2,
            "queue": 0,
        }
        assert time.monotonic() - asked < 0.9, "a change of state does not wait for the second to pass"

        socket.send_json({"next": 0})
        assert socket.receive_bytes() == first


def test_the_gaps_of_a_snapshot_come_as_one_grid(client, folders):
    answer = client.get("/losslab/runs/aa/gaps/2")
    assert answer.content == gaps.encode(Run(folders / "runs" / "aa"), 2)
    assert client.get("/losslab/runs/aa/gaps/3").status_code == 404
    assert client.get("/losslab/runs/aa/gaps/-1").status_code == 404
    assert client.get("/losslab/runs/zz/gaps/0").status_code == 404
    recipe = dataclasses.replace(RECIPE, dim=5)
    wide = dataclasses.replace(
        moment(0), embedding=np.ones((N, 5), np.float32), prototypes=np.eye(2, 5, dtype=np.float32)
    )
    write(folders / "runs" / "wide", 0, "done", recipe).append(wide)
    with pytest.raises(ValueError, match="this run has 5 dimensions"):
        gaps.encode(Run(folders / "runs" / "wide"), 0)


def test_more_than_three_dimensions_are_only_shown_by_a_map(client, folders, monkeypatch):
    """As they are, the first three would be drawn as if they were all."""
    monkeypatch.setattr(projector.Map, "ask", lambda self, snapshots: None)  # nobody need draw it
    write(folders / "runs" / "wide", 1, "done", dataclasses.replace(RECIPE, dim=5))
    facts = client.get("/losslab/runs/wide").json()
    assert facts["dim"] == 3 and facts["map"]["of"] == 5 and facts["map"]["title"] == "Sphere map"
    assert not facts["digits"], "no digit can be drawn into a map"
    drawing = client.post("/losslab/runs/wide/embed", content=bytes([255]) * 28 * 28)
    assert drawing.status_code == 400 and drawing.text.startswith("A map has no place for")
    assert client.get("/losslab/runs/wide/frames").content == b"", "nothing is placed yet"
    assert "map" not in client.get("/losslab/runs/aa").json()


def test_a_run_with_label_noise_tells_the_truth(client, folders):
    assert client.get("/losslab/runs/aa").json()["truth"] is None
    noisy = (np.arange(N) % 2 + (np.arange(N) < 3)) % 2
    write(folders / "runs" / "noisy", 1, "done", truth=noisy)
    assert client.get("/losslab/runs/noisy").json()["truth"] == noisy.tolist()


@pytest.fixture(scope="module")
def learnt(tmp_path_factory):
    """A run of two digits that was trained to its end."""
    recipe = Recipe(loss=ArcFace(scale=16, margin=0.2), classes=(0, 1), model="mlp", per_class=200, epochs=2)
    path = tmp_path_factory.mktemp("learnt") / "run"
    with RunWriter(path, recipe, probe(recipe)) as writer:
        for snapshot in train(recipe):
            writer.append(snapshot)
        writer.state("done")
    return path


@pytest.fixture
def pad(client, folders, learnt):
    """Draw a picture into the run of two digits, or another."""
    shutil.copytree(learnt, folders / "runs" / "learnt")

    def draw(image, run="learnt", **headers):
        return client.post(f"/losslab/runs/{run}/embed", content=np.asarray(image).tobytes(), headers=headers)

    return draw


def stroke() -> np.ndarray:
    image = np.zeros((28, 28), np.uint8)
    image[2:9, 4:6] = 255
    return image


def test_a_drawing_is_put_where_the_network_puts_it(pad, learnt):
    said = pad(stroke()).json()
    run = Run(learnt)
    model, head = restore(run)
    image = np.frombuffer(base64.b64decode(said["image"]), np.uint8).reshape(28, 28).copy()
    assert np.array_equal(image, centred(stroke()))
    with torch.no_grad():
        embedding = model(torch.from_numpy(image)[None, None])
        both = embedding.expand(2, -1)
        logits, gap = head.logits(embedding)[0], head.gap(both, torch.arange(2))
    direction = torch.nn.functional.normalize(embedding)[0]
    cosine = torch.nn.functional.normalize(head.prototypes) @ direction
    assert said["step"] == run.total_steps
    assert np.allclose(said["direction"], direction, atol=1e-5)
    assert np.allclose(said["length"], embedding.norm().item(), rtol=1e-5)
    assert np.allclose(np.cos(np.radians(said["angle_deg"])), cosine.detach(), atol=1e-5)
    assert np.allclose(said["gap"], gap, atol=1e-5)
    assert np.allclose(said["probability"], logits.softmax(0), atol=1e-5)
    assert np.argmin(said["angle_deg"]) == 1, "one stroke is a one"


def test_while_a_run_goes_on_its_newest_weights_are_asked(client, folders):
    recipe = Recipe(loss=ArcFace(scale=16, margin=0.2), classes=(0, 1), model="mlp", per_class=100, epochs=2)
    steps, training = [], train(recipe)
    with RunWriter(folders / "runs" / "going", recipe, probe(recipe)) as writer:
        for _ in range(2):
            writer.append(next(training))
            writer.state("paused")  # at rest the newest weights are on disk
            steps.append(client.post("/losslab/runs/going/embed", content=stroke().tobytes()).json()["step"])
    training.close()
    assert steps == [0, 1]


def test_a_run_without_weights_says_so(pad, folders):
    for run, remedy in (("aa", "train it again"), ("first-look", "train it again")):
        answer = pad(stroke(), run)
        assert answer.status_code == 409 and remedy in answer.text
    write(folders / "runs" / "young", 1, "running")
    assert "wait for its first steps" in pad(stroke(), "young").text


def test_what_is_no_drawing_is_refused_in_a_sentence(pad, client):
    assert pad(stroke(), "zz").status_code == 404
    for size in (0, 783, 785, 10_000_000):
        answer = pad(np.ones(size, np.uint8))
        assert answer.status_code == 400 and "784 bytes" in answer.text
    answer = pad(np.zeros(784, np.uint8))
    assert answer.status_code == 400 and "nothing on the pad" in answer.text
    assert client.get("/losslab/runs/learnt/embed").status_code == 405


def test_only_pages_of_this_server_may_draw(pad):
    assert pad(stroke(), origin="http://testserver").status_code == 200
    assert pad(stroke(), origin="http://elsewhere.test").status_code == 403


def test_clothes_are_no_digits(pad, folders):
    write(folders / "runs" / "clothes", 1, "done", dataclasses.replace(RECIPE, data="fashion"))
    answer = pad(stroke(), "clothes")
    assert answer.status_code == 400 and "not trained on digits" in answer.text


NONSENSE = ["", "[]", "{}", '{"next": -1}', '{"next": "1"}', '{"next": 1.5}', '{"next": true}', "[" * 100_000]


@pytest.mark.parametrize("text", NONSENSE, ids=lambda text: text[:20])
def test_a_message_that_makes_no_sense_ends_the_watch(client, text):
    with client.websocket_connect("/losslab/runs/aa/watch") as socket:
        socket.send_text(text)
        with pytest.raises(WebSocketDisconnect) as closed:
            socket.receive_bytes()
    assert closed.value.code == 4400


@pytest.mark.parametrize(
    "id",
    [
        "..",
        "%2e%2e",
        "%2e%2e%2fhidden",
        "..%2fhidden",
        "%2fetc",
        "hidden",
        "aa%00",
        ".pool",
        "a" * 65,
        "aa%0a",
    ],
)
def test_nothing_outside_the_two_folders_is_a_run(client, id):
    for path in ("", "/frames", "/sprites.png"):
        assert client.get(f"/losslab/runs/{id}{path}").status_code == 404
    with pytest.raises(WebSocketDisconnect):
        with client.websocket_connect(f"/losslab/runs/{id}/watch") as socket:
            socket.receive_text()


def test_a_missing_run_closes_the_watch_with_its_own_code(client):
    with client.websocket_connect("/losslab/runs/zz/watch") as socket:
        with pytest.raises(WebSocketDisconnect) as closed:
            socket.receive_text()
    assert closed.value.code == 4404


@pytest.mark.parametrize(
    "origin, allowed",
    [
        ("http://testserver", True),
        ("https://TestServer", True),
        (None, True),
        ("http://elsewhere.test", False),
        ("http://testserver:8080", False),
        ("http://testserver.elsewhere.test", False),
        ("null", False),
        ("", False),
    ],
)
def test_only_pages_of_this_server_may_watch(client, origin, allowed):
    headers = {} if origin is None else {"origin": origin}
    if allowed:
        with client.websocket_connect("/losslab/runs/aa/watch", headers=headers) as socket:
            socket.send_json({"next": 0})
            assert index(socket.receive_bytes()) == 0
    else:
        with pytest.raises(WebSocketDisconnect) as closed:
            with client.websocket_connect("/losslab/runs/aa/watch", headers=headers):
                pass
        assert closed.value.code == 4403


def test_under_a_base_path_everything_lies_under_it(folders):
    pool = Pool(folders / "runs", slots=[])
    app = Starlette(routes=routes(lambda: pool, folders / "recordings", "/lab/"))
    with TestClient(app) as client:
        assert client.get("/losslab/runs/aa").status_code == 404
        url = client.get("/lab/losslab/runs/aa").json()["sprite"]["url"]
        assert url.startswith("/lab/losslab/") and client.get(url).status_code == 200


def test_a_run_that_cannot_be_read_is_not_there(client, folders):
    broken = folders / "runs" / "broken"
    broken.mkdir()
    (broken / "recipe.json").write_text('{"recipe": {"loss": {"name": "NoSuchLoss"}}}')
    assert client.get("/losslab/runs/broken").status_code == 404
    with client.websocket_connect("/losslab/runs/broken/watch") as socket:
        with pytest.raises(WebSocketDisconnect) as closed:
            socket.receive_text()
    assert closed.value.code == 4404


def test_a_run_deleted_under_its_watcher_closes_the_watch(client, folders):
    with client.websocket_connect("/losslab/runs/aa/watch") as socket:
        socket.send_json({"next": 0})
        socket.receive_bytes()
        shutil.rmtree(folders / "runs" / "aa")
        socket.send_json({"next": 2})
        with pytest.raises(WebSocketDisconnect) as closed:
            socket.receive_bytes()
    assert closed.value.code == 4404
    assert client.get("/losslab/runs/aa/frames").status_code == 404


def test_a_recording_made_anew_is_read_anew(client, folders):
    assert client.get("/losslab/runs/first-look").json()["snapshots"] == 70
    shutil.rmtree(folders / "recordings" / "first-look")
    write(folders / "recordings" / "first-look", 2, "done")
    assert client.get("/losslab/runs/first-look").json()["snapshots"] == 2


def test_frames_are_kept_up_to_a_number_of_bytes():
    cache = Cache(100)
    for i in range(5):
        cache.keep(("run", i), bytes(30))
    assert [i for i in range(5) if cache.get(("run", i))] == [2, 3, 4]


def test_a_watcher_keeps_a_run_alive(folders):
    pool, seen = Pool(folders / "runs", slots=[]), []
    pool.seen = lambda *said: seen.append(said)
    watching = routes(lambda: pool, folders / "recordings", visitor=lambda request: request.cookies["name"])
    with TestClient(Starlette(routes=watching), cookies={"name": "ann"}) as client:
        client.get("/losslab/runs/aa")
        assert seen == []
        client.get("/losslab/runs/aa/frames")
        with client.websocket_connect("/losslab/runs/aa/watch") as socket:
            socket.send_json({"next": 0})
            socket.receive_bytes()
    assert seen == [("aa", "ann"), ("aa", "ann")]


def test_the_stage_serves_its_own_files_and_nothing_else(client, tmp_path, monkeypatch):
    stage = tmp_path / "stage"
    stage.mkdir()
    (stage / "stage.js").write_text("export default 1")
    (stage / "stage.css").write_text("a {}")
    (stage / "notes.txt").write_text("no")
    monkeypatch.setattr(live_routes, "STAGE", stage)
    script = client.get("/losslab/stage/stage.js")
    assert script.headers["content-type"].startswith("text/javascript")
    assert script.headers["x-content-type-options"] == "nosniff"
    assert script.headers["cache-control"] == "no-cache"
    assert client.get("/losslab/stage/stage.css").headers["content-type"].startswith("text/css")
    again = client.get("/losslab/stage/stage.js", headers={"if-none-match": script.headers["etag"]})
    assert again.status_code == 304 and again.content == b""
    (stage / "stage.js").write_text("export default 2")
    changed = client.get("/losslab/stage/stage.js", headers={"if-none-match": script.headers["etag"]})
    assert changed.text == "export default 2"
    for name in ("notes.txt", "missing.js", "..%2fstage.js", "%2e%2e"):
        assert client.get(f"/losslab/stage/{name}").status_code == 404
