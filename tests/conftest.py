"""What many tests share."""

import shutil

import pytest
import torch
from playwright.sync_api import sync_playwright


@pytest.fixture(autouse=True, scope="session")
def few_threads():
    """Test processes run side by side; torch's own threads would only make them wait for one another."""
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """The app on a port of its own, with runs in a folder of its own."""
    from test_browser import Server

    made = Server(tmp_path_factory.mktemp("runs"))
    yield made
    made.kill()


@pytest.fixture(scope="session")
def profile(tmp_path_factory):
    """Where the browsers of one test process, one after another, keep the scripts that they have compiled."""
    folder = tmp_path_factory.mktemp("profile")
    yield folder
    shutil.rmtree(folder, ignore_errors=True)  # a large one, and nobody will look at it


@pytest.fixture(scope="module")
def chromium(profile):
    """A browser. `newcomer` opens pages in its own window, `new_context` in a private one."""
    from test_browser import CHROMIUM, FLAGS

    with sync_playwright() as playwright:
        window = playwright.chromium.launch_persistent_context(
            profile, executable_path=CHROMIUM, args=FLAGS, viewport={"width": 1300, "height": 1000}
        )
        yield window.browser
        window.close()
