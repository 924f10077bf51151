"""Pages that stand alone: every script and answer lies in them, they ask for nothing, and equal ones are equal."""

import base64
import json
import re
import struct

import numpy as np
import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient
from test_routes import write

from losslab.live import gaps, taken
from losslab.live.pool import Pool
from losslab.live.routes import LONGEST, routes
from losslab.losses import InterFace
from losslab.render import standalone
from losslab.training import Recipe, Run
from pages.parts.server import RECORDINGS

MOUNTS = ["stage.js", "rack.js", "lone.js"]


def part(page: str, opening: str) -> dict:
    found = re.search(rf"<script {re.escape(opening)}>(.*?)</script>", page)
    return json.loads(found[1])


def scripts(page: str) -> dict[str, str]:
    """The scripts that lie in a page, by name."""
    found = part(page, 'type="importmap"')["imports"]
    return {name: base64.b64decode(url.split("base64,")[1]).decode() for name, url in found.items()}


def said(page: str) -> dict:
    return part(page, 'type="application/json" id="said"')


@pytest.mark.parametrize("mount", MOUNTS)
def test_every_script_that_is_imported_lies_in_the_page(mount):
    page = standalone.page("A title", mount, {})
    found = scripts(page)
    for text in (*found.values(), page.split('<script type="module">')[1]):
        imported = re.findall(r'^\s*import\b.*?"([^"]+)";$', text, re.MULTILINE)
        assert set(imported) <= set(found)
        assert "import(" not in text and "import.meta" not in text and '"./' not in text
    unchanged = standalone.STAGE / mount
    assert found[mount] == unchanged.read_text(encoding="utf-8").replace('"./', '"')
    assert "board.js" not in found and "knobs.js" not in found


@pytest.mark.parametrize("mount", MOUNTS)
def test_a_page_names_no_place_elsewhere(mount):
    page = standalone.page("A title", mount, {})
    assert "://" not in page and " src=" not in page and "<link" not in page
    for text in scripts(page).values():  # names of SVG's own elements are no places
        assert "://" not in text.replace("http://www.w3.org/2000/svg", "")
    policy = re.search('http-equiv="content-security-policy" content="([^"]*)"', page)[1]
    assert policy.startswith("default-src 'none'") and "http" not in policy and "connect-src" not in policy
    assert page.index("content-security-policy") < page.index("<script")


def test_style_sheets_lie_in_the_page():
    sheets = scripts(standalone.page("A title", "rack.js", {}))["beside.js"]
    for name in ("stage.css", "rack.css"):
        text = (standalone.STAGE / name).read_text(encoding="utf-8")
        assert base64.b64encode(text.encode()).decode() in sheets


def test_what_is_said_is_never_markup():
    bad = "</script><script>alert(1)</script><!--"
    page = standalone.page(bad, "stage.js", {"text": bad}, {bad: b"x"})
    assert page.count("<script") == 3 and page.count("</script>") == 3 and "<!--" not in page
    assert said(page) == {"data": {"text": bad}, "answers": {bad: base64.b64encode(b"x").decode()}}


def test_the_same_page_twice_is_the_same_file():
    made = [standalone.page("A title", "stage.js", {"a": [1, 2]}, {"/x": b"123"}) for _ in range(2)]
    assert made[0] == made[1]


# -- runs ----------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path):
    write(tmp_path / "runs" / "aa", 3, "done")
    write(tmp_path / "runs" / "bb", 2, "running")
    write(tmp_path / "runs" / "empty", 0, "running")
    write(tmp_path / "runs" / "faint", 2, "done", Recipe(loss=InterFace(scale=16), classes=(3, 5), dim=3))
    write(tmp_path / "hidden", 1, "done")
    return tmp_path / "runs"


@pytest.fixture
def client(folder):
    pool = Pool(folder, slots=[])
    with TestClient(Starlette(routes=routes(lambda: pool, RECORDINGS))) as made:
        yield made


def answers(page: str) -> dict[str, bytes]:
    return {path: base64.b64decode(body) for path, body in said(page)["answers"].items()}


def test_a_run_lies_in_its_page_as_the_server_tells_it(client):
    made = client.post("/losslab/pages/stage", json={"run": "aa", "gallery": True, "start": None, "extra": 1})
    assert made.status_code == 200 and made.headers["content-type"] == "text/html; charset=utf-8"
    assert made.text == client.post("/losslab/pages/stage", json={"run": "aa", "gallery": True}).text
    found = answers(made.text)
    assert found["/losslab/runs/aa/frames"] == client.get("/losslab/runs/aa/frames").content
    facts, live = json.loads(found["/losslab/runs/aa"]), client.get("/losslab/runs/aa").json()
    sprite = facts["sprite"].pop("url")
    image = client.get(live["sprite"].pop("url")).content
    assert facts == live and base64.b64decode(sprite.removeprefix("data:image/png;base64,")) == image
    data = said(made.text)["data"]
    assert data["run"] == "aa" and data["gallery"] is True and data["alone"] is True and "extra" not in data


def test_a_run_under_way_is_over_on_its_page(client):
    facts = json.loads(answers(client.post("/losslab/pages/stage", json={"run": "bb"}).text)["/losslab/runs/bb"])
    assert facts["state"] == "stopped" and "while it was training" in facts["reason"] and facts["snapshots"] == 2


def test_zones_that_no_curve_tells_lie_there_on_a_coarser_grid(client, folder):
    found = answers(client.post("/losslab/pages/stage", json={"run": "faint"}).text)
    run = Run(folder / "faint")
    for index in range(2):
        coarse, whole = found[f"/losslab/runs/faint/gaps/{index}"], gaps.encode(run, index)
        assert struct.unpack_from("<4sIIHH", coarse) == (b"LLG1", index, gaps.SIDE // taken.THIN, 2, 3)
        n = gaps.SIDE // taken.THIN + 1
        every = np.frombuffer(whole, "<i2", offset=16).reshape(2, gaps.SIDE + 1, gaps.SIDE + 1)
        assert (
            np.frombuffer(coarse, "<i2", offset=16).reshape(2, n, n) == every[:, :: taken.THIN, :: taken.THIN]
        ).all()
    assert not [
        path for path in answers(client.post("/losslab/pages/stage", json={"run": "aa"}).text) if "gaps" in path
    ]


def test_several_runs_share_a_page(client):
    runs = [{"run": id, "text": id, "whole": id, "ink": "#000"} for id in ("aa", "bb")]
    page = client.post("/losslab/pages/rack", json={"runs": runs, "parted": 1}).text
    assert said(page)["data"]["runs"] == runs and said(page)["data"]["parted"] == 1
    assert {"/losslab/runs/aa", "/losslab/runs/bb"} < set(answers(page))


@pytest.mark.parametrize(
    ("kind", "wish", "status", "sentence"),
    [
        ("stage", {"run": "../hidden"}, 404, "There is no such run."),
        ("stage", {"run": "nobody"}, 404, "There is no such run."),
        ("stage", {"run": ["aa"]}, 404, "There is no such run."),
        ("stage", {}, 404, "There is no such run."),
        ("stage", {"run": "empty"}, 400, "There is nothing to save yet; wait for the first snapshot."),
        ("stage", [], 400, "A page is asked for with the ids of its runs."),
        ("rack", {"runs": []}, 400, "A page holds 1 to 6 runs."),
        ("rack", {"runs": [{"run": "aa"}] * 7}, 400, "A page holds 1 to 6 runs."),
        ("rack", {"runs": 7}, 400, "That makes no page."),
        ("rack", {"runs": ["aa"]}, 400, "That makes no page."),
        ("poster", {"run": "aa"}, 404, "There is no page of kind 'poster'; there are stage, rack."),
    ],
)
def test_what_makes_no_page_is_refused_in_one_sentence(client, kind, wish, status, sentence):
    answer = client.post(f"/losslab/pages/{kind}", json=wish)
    assert (answer.status_code, answer.json()) == (status, {"error": sentence})


def test_a_wish_has_a_size_and_comes_from_our_own_pages(client):
    assert client.post("/losslab/pages/stage", content=b" " * (LONGEST + 1)).status_code == 400
    for body in (b"", b"{", b"\xff\xfe", b"[" * 10_000):
        assert client.post("/losslab/pages/stage", content=body).status_code == 400
    strange = {"origin": "http://elsewhere.example"}
    assert client.post("/losslab/pages/stage", json={"run": "aa"}, headers=strange).status_code == 403
    assert client.get("/losslab/pages/stage").status_code == 405


# -- a ball --------------------------------------------------------------------------------------------------


def ball(client, **more):
    wish = {"views": ["Boundaries"], "losses": [{"name": "ArcFace", "knobs": {"margin": 0.4}}], "values": {}} | more
    return client.post("/losslab/sights/html", json=wish)


def test_the_page_of_a_ball_holds_its_marks_and_its_loss(client):
    sight = client.post(
        "/losslab/sights", json={"views": ["Boundaries"], "losses": [{"name": "ArcFace", "knobs": {"margin": 0.4}}]}
    )
    page = ball(client, rotation=[2, 0, 0, 0]).text
    data = said(page)["data"]
    (shown,) = sight.json()["sights"]
    assert data["ball"] == shown["ball"] and data["says"] == shown["says"] and data["title"] == shown["title"]
    assert data["rotation"] == [1, 0, 0, 0] and data["label"] is None
    assert data["losses"] == [
        {"title": "ArcFace", "values": "s = 64, m = 0.4 rad", "formula": data["losses"][0]["formula"]}
    ]
    assert "0.4" in data["losses"][0]["formula"]
    assert page == ball(client, rotation=[2, 0, 0, 0]).text


@pytest.mark.parametrize("rotation", [None, 7, [], [0, 0, 0, 0], ["a", 0, 0, 0], [1e400, 0, 0, 1], [1, 2, 3]])
def test_a_camera_that_is_none_is_passed_over(client, rotation):
    body = json.dumps({"views": ["Boundaries"], "losses": [{"name": "ArcFace"}], "rotation": rotation})
    assert said(client.post("/losslab/sights/html", content=body).text)["data"]["rotation"] is None


def test_a_training_is_judged_by_its_own_loss_when_none_is_named(client):
    data = said(ball(client, losses=[], values={"run": "arcface-sphere", "snapshot": 4}).text)["data"]
    assert [each["values"] for each in data["losses"]] == ["s = 16, m = 0.3 rad"]
    assert "samples clear their margin" in data["says"]
