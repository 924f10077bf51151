"""Pictures on demand over HTTP: what is asked for, what is refused, and that nothing a stranger sends does harm."""

import json

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from losslab.figures.said import make, unlinked
from losslab.live import sights
from losslab.training import Run
from losslab.views import MOST
from pages.parts.server import RECORDINGS

RUN = "arcface-sphere"
ASKED = {"views": ["Curves"], "losses": [{"name": "ArcFace", "knobs": {"margin": 0.4}}], "values": {}, "dark": False}


@pytest.fixture(scope="module")
def client():
    find = {RUN: RECORDINGS / RUN}.get
    with TestClient(Starlette(routes=sights.routes(find))) as made:
        yield made


def ask(client, path="", **changes):
    return client.post(f"/losslab/sights{path}", json=ASKED | changes)


def test_a_picture_comes_with_its_sentence(client):
    said = ask(client).json()
    (sight,) = said["sights"]
    assert sight["view"] == "Curves" and sight["says"].startswith("At 90°, where the plain cosine is 0, ArcFace 0.4")
    assert said["losses"] == ["ArcFace 0.4"] and said["took"] >= 0
    assert sight["figure"]["data"] and sight["figure"]["layout"]["paper_bgcolor"] == "#ffffff"


def test_views_come_in_the_order_they_are_asked_for(client):
    said = ask(client, views=["Ladder", "Curves", "Regions"], values={"rung": 2, "between": 40, "unknown": 1}).json()
    assert [sight["view"] for sight in said["sights"]] == ["Ladder", "Curves", "Regions"]
    assert said["sights"][0]["title"].startswith("The ladder, step 2")


def test_the_answer_follows_the_theme(client):
    assert ask(client, dark=True).json()["sights"][0]["figure"]["layout"]["paper_bgcolor"] == "#14161a"


@pytest.mark.parametrize(
    ("said", "called"),
    [
        ({"name": "ArcFace", "knobs": None}, "ArcFace 0.3"),
        ({"name": "ArcFace", "knobs": None, "small": False}, "ArcFace 0.5"),
        ({"name": "arcface"}, "ArcFace 0.3"),
        ({"name": "IntraLoss", "knobs": None, "base": "CosFace"}, "IntraLoss (reconstruction) around CosFace"),
        ({"name": "ArcFace", "knobs": {"margin": "Linear(0, 0.5, 10)"}}, "ArcFace"),
    ],
)
def test_a_loss_without_knobs_begins_with_its_own(client, said, called):
    answer = ask(client, losses=[said])
    assert answer.status_code == 200 and answer.json()["losses"] == [called]


def test_the_samples_of_a_run(client):
    (sight,) = ask(client, views=["Regions"], values={"run": RUN, "first": 1, "second": 2}).json()["sights"]
    samples = [trace for trace in sight["figure"]["data"] if trace["type"] == "scatter"]
    assert len(samples) == 2 and all(len(trace["x"]) > 50 for trace in samples)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"views": []}, "A question names 1 to 8 views."),
        ({"views": "Curves"}, "A question names 1 to 8 views."),
        ({"views": ["Curves"] * 9}, "A question names 1 to 8 views."),
        ({"views": ["Curve"]}, "There is no view called 'Curve'"),
        ({"views": [{"a": 1}]}, "There is no view called"),
        ({"losses": []}, "A picture shows 1 to 8 losses; this asks for 0."),
        ({"losses": [{"name": "ArcFace"}] * (MOST + 1)}, "A picture shows at most 8 losses."),
        ({"losses": {"name": "ArcFace"}}, "A picture shows at most 8 losses."),
        ({"losses": ["ArcFace"]}, "A loss is asked for by its name and its knobs."),
        ({"losses": [{"name": "ArcFace", "knobs": [1]}]}, "A loss is asked for by its name and its knobs."),
        ({"losses": [{"name": "__import__"}]}, "There is no loss called '__import__'"),
        ({"losses": [{"name": "ArcFace", "knobs": {"margin": 9}}]}, "margin is 9, but it must be from 0 to 1.5 rad."),
        ({"losses": [{"name": "ArcFace", "knobs": {"margin": [1]}}]}, "margin is [1], but it must be a finite number"),
        ({"losses": [{"name": "ArcFace", "knobs": {"margin": "eval(1)"}}]}, ""),
        ({"losses": [{"name": "ArcFace", "knobs": {"card": 1}}]}, "ArcFace has no knob called 'card'"),
        ({"views": ["Probability"], "values": {"classes": 10**9}}, "classes is 1000000000, but it must be one of"),
        ({"views": ["Regions"], "values": {"between": "x"}}, "between is 'x', but it must be a finite number"),
        ({"views": ["Regions"], "values": {"between": 1e400}}, ""),
        ({"views": ["Regions"], "values": {"run": "../../etc/passwd"}}, "The run of this link is not on this server"),
        ({"views": ["Regions"], "values": {"run": RUN, "first": 0, "second": 99}}, "The two classes of this picture"),
        ({"views": ["Regions"], "values": {"run": {"a": []}}}, "The run of this link is not on this server"),
        ({"losses": [{"name": "x" * 9999}]}, "There is no loss called 'xxx"),
        ({"values": 5}, ""),
        ({"values": [[1, 2, 3]]}, ""),
    ],
)
def test_what_makes_no_picture_gets_one_sentence(client, changes, sentence):
    answer = client.post("/losslab/sights", content=json.dumps(ASKED | changes))
    assert answer.status_code == 400
    said = answer.json()["error"]
    assert said.startswith(sentence) and said.count("\n") == 0 and len(said) <= 500


@pytest.mark.parametrize("body", [b"", b"{", b"null", b"[]", b"7", b"\xff\xfe", b"[" * 10_000, b'{"views": NaN}'])
def test_what_is_no_question_is_refused(client, body):
    answer = client.post("/losslab/sights", content=body)
    assert answer.status_code == 400 and answer.json()["error"]


def test_a_question_has_a_size(client):
    assert client.post("/losslab/sights", content=b" " * (sights.LONGEST + 1)).status_code == 413


def test_pictures_are_only_asked_for(client):
    assert client.get("/losslab/sights").status_code == 405


@pytest.mark.parametrize(
    ("kind", "start"), [("csv", "role,name,of"), ("html", "<!doctype html>"), ("figure", '{"data": [')]
)  # fmt: skip
def test_files(client, kind, start):
    answer = ask(client, f"/{kind}")
    assert answer.status_code == 200 and answer.text.lstrip().startswith(start)
    assert answer.headers["content-type"].startswith(sights.FILES[kind].split(";")[0])


def test_what_is_seen_is_sent_to_paper_unchanged(client):
    camera = [0, 1, 0, 0, 0, 1, 1, 0, 0]
    values = {"run": RUN, "snapshot": 5, "samples": True, "beside": "the question"}
    said = {"losses": [{"name": "CosFace", "knobs": {"margin": 0.3, "scale": 16}}], "values": values, "camera": camera}
    link = ask(client, "/paper", views=["Boundaries"], **said).json()
    assert link.pop("camera") == ["0,1,0,0,0,1,1,0,0"]
    figure = unlinked(link)
    assert figure == {
        "figure": "Boundaries",
        "runs": [RUN],
        "losses": ["CosFace(scale=16, margin=0.3)"],
        "snapshot": "5",
        "samples": "true",
    }
    (scene,) = make(figure, lambda id: Run(RECORDINGS / id)).plate().panels
    assert scene.title == ask(client, views=["Boundaries"], **said).json()["sights"][0]["title"]


def test_what_makes_no_figure_is_one_sentence(client):
    answer = ask(client, "/paper", views=["Rivals"], values={"run": "gone"})
    assert answer.status_code == 400 and "not on this server" in answer.json()["error"]


def test_a_file_of_no_kind(client):
    answer = ask(client, "/exe")
    assert answer.status_code == 404 and "csv, html, figure" in answer.json()["error"]
    assert ask(client, "/csv", views=["Nothing"]).status_code == 400


def test_what_is_said_is_never_markup(client):
    """Names come from strangers; an HTML file must not carry out what they say."""
    answer = ask(client, "/html", losses=[{"name": "<script>alert(1)</script>"}])
    assert answer.status_code == 400 and answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize("path", ["", "/csv", "/html", "/figure", "/exe"])
def test_no_other_page_may_embed_an_answer(client, path):
    headers = ask(client, path).headers
    assert headers["x-content-type-options"] == "nosniff" and headers["cache-control"] == "no-store"
    assert headers["cross-origin-resource-policy"] == "same-origin"


def test_the_chart_library_is_sent_once(client):
    first = client.get("/losslab/plotly.js")
    assert first.status_code == 200 and "Plotly" in first.text and first.headers["content-encoding"] == "gzip"
    again = client.get("/losslab/plotly.js", headers={"if-none-match": first.headers["etag"]})
    assert again.status_code == 304 and not again.content
