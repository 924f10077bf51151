"""What tests of pages without a browser share."""

from contextlib import contextmanager
from functools import cache

from streamlit.components.v2 import manifest_scanner

from losslab.live import pool
from pages.parts import server

components = cache(manifest_scanner.scan_component_manifests)


@contextmanager
def untrained(folder, monkeypatch):
    """The server's pool with its runs in `folder`, and nobody to train them: a worker takes seconds to warm up, and
    here only what a page asks for is looked at. What is asked for waits.

    Every new AppTest would look through all installed packages for components; what the first one found stays true.
    """
    monkeypatch.setenv("LOSSLAB_RUNS", str(folder))
    monkeypatch.setattr(pool, "devices", list)
    monkeypatch.setattr(manifest_scanner, "scan_component_manifests", components)
    server.pool.cache_clear()
    try:
        yield folder
    finally:
        server.pool().close()
        server.pool.cache_clear()
