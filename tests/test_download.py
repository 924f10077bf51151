"""A download ends with the right file in place or with one sentence, whatever the mirrors and the disk do."""

import hashlib
import os
import re
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from losslab.data import DataError
from losslab.data.download import fetch
from losslab.data.fashion import Fashion
from losslab.data.idx_dataset import Remote

CONTENT = os.urandom(300_000)
SIZE = len(CONTENT)
MD5 = hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()


class Mirror:
    """A web server on this machine whose habits a test sets."""

    def __init__(self):
        self.files = {"file": CONTENT}
        self.ranges = True  # whether it honours Range
        self.cuts = []  # after how many bytes it breaks off: one entry an answer, then never again
        self.status = None
        self.silent = threading.Event()  # set: it accepts and says nothing
        self.over = threading.Event()
        self.asked = []  # the Range of every request
        mirror = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                mirror.answer(self)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()
        self.base = f"http://127.0.0.1:{self.server.server_port}/"
        self.url = self.base + "file"

    def answer(self, request):
        asked = request.headers.get("Range")
        self.asked.append(asked)
        if self.silent.is_set():
            self.over.wait(5)
            return
        body = self.files.get(request.path[1:])
        if self.status or body is None:
            return request.send_error(self.status or 404)
        start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1]) if asked and self.ranges else 0
        if start:
            request.send_response(206)
            request.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        else:
            request.send_response(200)
        request.send_header("Content-Length", str(len(body) - start))
        request.end_headers()
        cut = self.cuts.pop(0) if self.cuts else len(body)
        request.wfile.write(body[start : start + cut])

    def close(self):
        self.over.set()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def mirrors(monkeypatch):
    """Makes mirrors; the environment's proxies stay out of the way."""
    monkeypatch.setenv("no_proxy", "*")
    made = []

    def make():
        made.append(Mirror())
        return made[-1]

    yield make
    for mirror in made:
        mirror.close()


def dead_url():
    """A URL at which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}/file"


def get(urls, target, progress=lambda done: None, **more):
    fetch(urls, target, **{"size": SIZE, "md5": MD5, "progress": progress, "timeout": 5} | more)


def arrived(target):
    return target.read_bytes() == CONTENT and [path.name for path in target.parent.iterdir()] == [target.name]


def sentence(error):
    message = str(error.value)
    assert message.endswith(".") and "\n" not in message
    return message


def test_a_file_arrives_whole_and_its_progress_is_told(mirrors, tmp_path):
    target, told = tmp_path / "new" / "folder" / "file", []
    get([mirrors().url], target, told.append)
    assert arrived(target)
    assert told == sorted(told) and 0 < told[0] < SIZE and told[-1] == SIZE


def test_a_file_that_is_there_is_not_fetched_again(mirrors, tmp_path):
    mirror, told = mirrors(), []
    (tmp_path / "file").write_bytes(CONTENT)
    get([mirror.url], tmp_path / "file", told.append)
    assert mirror.asked == [] and told == [SIZE]


def test_a_damaged_file_that_is_there_is_replaced(mirrors, tmp_path):
    (tmp_path / "file").write_bytes(CONTENT[:-1] + b"?")
    get([mirrors().url], tmp_path / "file")
    assert arrived(tmp_path / "file")


def test_a_download_that_breaks_off_goes_on_where_it_stopped(mirrors, tmp_path):
    mirror = mirrors()
    mirror.cuts = [100_000, 50_000]
    get([mirror.url], tmp_path / "file")
    assert arrived(tmp_path / "file")
    assert mirror.asked == [None, "bytes=100000-", "bytes=150000-"]


def test_a_later_call_goes_on_where_an_earlier_one_stopped(mirrors, tmp_path):
    mirror, told = mirrors(), []
    mirror.cuts = [100_000, 0]
    with pytest.raises(DataError, match="broke off after 100000 of 300000"):
        get([mirror.url], tmp_path / "file")
    assert not (tmp_path / "file").exists()
    get([mirror.url], tmp_path / "file", told.append)
    assert arrived(tmp_path / "file")
    assert mirror.asked[-1] == "bytes=100000-" and told[0] > 100_000


def test_another_mirror_goes_on_with_what_the_first_one_gave(mirrors, tmp_path):
    first, second = mirrors(), mirrors()
    first.cuts = [100_000, 0]
    get([first.url, second.url], tmp_path / "file")
    assert arrived(tmp_path / "file")
    assert second.asked == ["bytes=100000-"]


def test_a_download_stopped_by_its_caller_can_go_on(mirrors, tmp_path):
    class Stop(Exception):
        pass

    def stop(done):
        raise Stop

    mirror = mirrors()
    with pytest.raises(Stop):
        get([mirror.url], tmp_path / "file", stop)
    get([mirror.url], tmp_path / "file")
    assert arrived(tmp_path / "file") and mirror.asked[-1] is not None


def test_a_server_that_ignores_ranges_is_read_from_the_start(mirrors, tmp_path):
    mirror = mirrors()
    mirror.ranges, mirror.cuts = False, [100_000]
    get([mirror.url], tmp_path / "file")
    assert arrived(tmp_path / "file")


def test_a_server_that_ignores_ranges_and_always_breaks_off_is_given_up(mirrors, tmp_path):
    mirror = mirrors()
    mirror.ranges, mirror.cuts = False, [100_000] * 10
    with pytest.raises(DataError, match="broke off"):
        get([mirror.url], tmp_path / "file")
    assert len(mirror.asked) == 2


def test_a_wrong_checksum_at_one_mirror_leads_to_the_next(mirrors, tmp_path):
    wrong, right = mirrors(), mirrors()
    wrong.files["file"] = bytes(SIZE)
    get([wrong.url, right.url], tmp_path / "file")
    assert arrived(tmp_path / "file")
    assert right.asked == [None]


def test_a_wrong_checksum_everywhere_leaves_nothing_behind(mirrors, tmp_path):
    wrong = mirrors()
    wrong.files["file"] = bytes(SIZE)
    with pytest.raises(DataError, match="wrong checksum") as error:
        get([wrong.url], tmp_path / "file")
    sentence(error)
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_file_that_always_breaks_off_is_given_up(mirrors, tmp_path):
    wrong = mirrors()
    wrong.files["file"], wrong.cuts = bytes(SIZE), [100_000] * 10
    wrong.cuts[1::2] = [SIZE] * 5
    with pytest.raises(DataError, match="wrong checksum"):
        get([wrong.url], tmp_path / "file")


@pytest.mark.parametrize("left", [b"?" * 1_000, b"?" * SIZE, b"?" * (SIZE + 9)], ids=["short", "same", "long"])
def test_wrong_bytes_left_by_an_earlier_download_do_not_spoil_a_good_mirror(left, mirrors, tmp_path):
    (tmp_path / "file.part").write_bytes(left)
    get([mirrors().url], tmp_path / "file")
    assert arrived(tmp_path / "file")


def test_a_page_served_in_place_of_the_file_is_not_taken_for_it(mirrors, tmp_path):
    portal = mirrors()
    portal.files["file"] = b"<html>please log in</html>"
    with pytest.raises(DataError, match="26 bytes instead of 300000"):
        get([portal.url], tmp_path / "file")


def test_all_mirrors_down_is_one_sentence_that_names_each(mirrors, tmp_path):
    gone, broken, dead = mirrors(), mirrors(), dead_url()
    gone.files, broken.status = {}, 503
    with pytest.raises(DataError, match="check the connection") as error:
        get([gone.url, broken.url, dead], tmp_path / "file")
    message = sentence(error)
    assert "HTTP 404" in message and "HTTP 503" in message and "refused" in message
    assert str(tmp_path) in message and "file could not" in message


def test_no_network_at_all_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    with pytest.raises(DataError, match="check the connection") as error:
        get(["http://mirror.invalid/file"], tmp_path / "file")
    assert "mirror.invalid" in sentence(error)


def test_a_mirror_that_says_nothing_is_left_after_the_timeout(mirrors, tmp_path):
    silent, good = mirrors(), mirrors()
    silent.silent.set()
    get([silent.url, good.url], tmp_path / "file", timeout=0.2)
    assert arrived(tmp_path / "file") and silent.asked == [None]


def test_two_downloads_at_once_do_not_harm_each_other(mirrors, tmp_path):
    mirror, failures = mirrors(), []

    def download():
        try:
            get([mirror.url], tmp_path / "file")
        except DataError as error:
            failures.append(error)

    threads = [threading.Thread(target=download) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert arrived(tmp_path / "file")
    assert mirror.asked == [None]  # the others waited and found it there


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
def test_a_full_disk_is_one_sentence(mirrors, tmp_path):
    (tmp_path / "file.part").symlink_to("/dev/full")  # takes no byte, as a full disk does
    with pytest.raises(DataError, match="no room for the 300000 bytes") as error:
        get([mirrors().url], tmp_path / "file")
    assert str(tmp_path) in sentence(error)


def test_a_file_where_a_folder_should_be_is_one_sentence(mirrors, tmp_path):
    (tmp_path / "folder").write_text("a file")
    with pytest.raises(DataError, match="another folder") as error:
        get([mirrors().url], tmp_path / "folder" / "file")
    assert str(tmp_path / "folder") in sentence(error)


def test_a_folder_where_the_file_should_be_is_one_sentence(mirrors, tmp_path):
    (tmp_path / "file").mkdir()
    with pytest.raises(DataError, match="another folder") as error:
        get([mirrors().url], tmp_path / "file")
    assert str(tmp_path / "file") in sentence(error)


def test_a_folder_without_the_right_to_write_is_one_sentence(mirrors, tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.open", refuse)  # rights do not stop root, who may run this
    with pytest.raises(DataError, match="may not be written") as error:
        get([mirrors().url], tmp_path / "file")
    assert str(tmp_path) in sentence(error)


def test_a_data_set_downloads_its_four_files_to_where_it_finds_them(mirrors, tmp_path):
    mirror = mirrors()
    mirror.files = {name: os.urandom(50_000) for name in Fashion.remote}

    class Small(Fashion):
        system = ()
        remote = {
            name: Remote(len(content), hashlib.md5(content, usedforsecurity=False).hexdigest())
            for name, content in mirror.files.items()
        }

    told = []
    said = Small().download(tmp_path, lambda done, total: told.append((done, total)), (mirror.base,))
    assert str(tmp_path / "FashionMNIST" / "raw") in said
    assert Small().available(tmp_path)
    assert told == sorted(told) and told[-1] == (200_000, 200_000)
    asked = len(mirror.asked)
    Small().download(tmp_path, mirrors=(mirror.base,))
    assert asked == 4 == len(mirror.asked)
