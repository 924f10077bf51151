"""Pages that stand alone: scripts of the stage and what they show, in one HTML file that asks nobody for anything.

The scripts lie in the page as they are, as `data:` URLs in an import map; only the places of their imports are written
as names of that map. Data and the answers of a server lie in it as JSON. A content policy holds the browser to it.
"""

import base64
import html
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .style import DARK, LIGHT

STAGE = Path(__file__).parents[1] / "stage"
BESIDE = "beside.js"  # the one script that knows where files lie: a page has its own
IMPORT = re.compile(r'^(import [^"]*)"\./([\w-]+\.js)";', re.MULTILINE)
POLICY = "default-src 'none'; script-src 'unsafe-inline' data:; style-src 'unsafe-inline' data:; img-src data: blob:"
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="content-security-policy" content="{policy}">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark }}
body {{ margin: 0; font-family: system-ui, sans-serif; background: {light} }}
@media (prefers-color-scheme: dark) {{ body {{ background: {dark} }} }}
main {{ max-width: 1400px; margin: 0 auto; padding: 16px }}
</style>
<script type="importmap">{scripts}</script>
<script type="application/json" id="said">{said}</script>
</head>
<body>
<main></main>
<script type="module">
import alone from "alone.js";
import mount from "{script}";
alone(mount);
</script>
</body>
</html>
"""


def page(title: str, script: str, data: Any, answers: Mapping[str, bytes] | None = None) -> str:
    """One HTML file.

    Args:
        script: a file of losslab/stage that mounts what is shown: `export default mount({data, parentElement})`.
        data: what it is mounted with, as JSON values. Text in it is only ever text.
        answers: what it would ask a server for, by path.
    """
    found = {name: url("text/javascript", text) for name, text in scripts("alone.js", script).items()}
    kept = {path: base64.b64encode(body).decode() for path, body in (answers or {}).items()}
    return PAGE.format(
        policy=POLICY,
        title=html.escape(title),
        light=LIGHT.background,
        dark=DARK.background,
        scripts=inert({"imports": found}),
        said=inert({"data": data, "answers": kept}),
        script=script,
    )


def scripts(*wanted: str) -> dict[str, str]:
    """Texts of these scripts and of all that they import, by name, with names for places."""
    found: dict[str, str] = {}
    waiting = list(wanted)
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        text = beside() if name == BESIDE else (STAGE / name).read_text(encoding="utf-8")
        waiting += [needed for _, needed in IMPORT.findall(text)]
        found[name] = IMPORT.sub(r'\1"\2";', text)
    return dict(sorted(found.items()))


def beside() -> str:
    """The script that says where style sheets lie: in the page."""
    sheets = {path.name: url("text/css", path.read_text(encoding="utf-8")) for path in sorted(STAGE.glob("*.css"))}
    return f"export const beside = (name) => ({inert(sheets)})[name];\n"


def url(kind: str, text: str) -> str:
    return f"data:{kind};charset=utf-8;base64,{base64.b64encode(text.encode()).decode()}"


def inert(value: Any) -> str:
    """JSON that no HTML parser takes for markup."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
