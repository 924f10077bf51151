"""What many tests share."""

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


@pytest.fixture(scope="module")
def chromium():
    from test_browser import CHROMIUM, FLAGS

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()
