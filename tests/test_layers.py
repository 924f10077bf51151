"""Imports point one way: geometry <- losses <- head <- training <- live; Streamlit only in app.py and pages/."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = [
    "schedules",
    "catalogue",
    "geometry",
    "group",
    "devices",
    "losses",
    "classes",
    "head",
    "diagnosis",
    "fields",
    "library",
    "data",
    "models",
    "training",
    "verification",
    "metrics",
    "evaluation",
    "export",
    "projections",
    "scene",
    "views",
    "render",
    "figures",
    "scale",
    "live",
    "flags",
    "caption",
    "press",
    "sheet",
    "building",
    "data_command",
    "figure_command",
    "scale_command",
    "asked_network",
    "verify_command",
    "export_command",
    "cli",
]
SEES = {  # what each room may import of the others
    "schedules": set(),
    "catalogue": {"schedules"},
    "geometry": set(),
    "group": set(),
    "devices": set(),
    "losses": {"schedules", "catalogue", "geometry"},
    "classes": {"losses", "geometry", "group"},
    "head": {"losses", "geometry", "group", "classes"},
    "diagnosis": {"catalogue", "geometry", "losses", "head"},
    "fields": {"geometry", "losses", "head"},
    "library": {"catalogue", "losses", "head"},
    "data": {"catalogue"},
    "models": {"catalogue"},
    "training": {"schedules", "catalogue", "geometry", "devices", "losses", "head", "diagnosis", "data", "models"},
    "verification": set(),
    "metrics": {"geometry", "losses", "head", "data", "models", "training", "verification"},
    "evaluation": {"group", "data", "models", "training", "verification"},
    "export": {"evaluation"},
    "scale": {
        "schedules",
        "catalogue",
        "group",
        "devices",
        "losses",
        "classes",
        "head",
        "data",
        "models",
        "training",
        "evaluation",
    },
    "projections": {"catalogue"},
    "scene": set(),
    "views": {"schedules", "catalogue", "geometry", "losses", "head", "fields", "scene", "training", "verification"},
    "render": {"geometry", "scene"},
    "live": {
        "schedules",
        "catalogue",
        "geometry",
        "losses",
        "head",
        "data",
        "training",
        "projections",
        "scene",
        "views",
        "figures",
        "render",
    },
    "data_command": {"catalogue", "data"},
    "figures": {
        "schedules",
        "catalogue",
        "geometry",
        "losses",
        "head",
        "fields",
        "data",
        "models",
        "training",
        "verification",
        "metrics",
        "projections",
        "scene",
        "views",
    },
    "flags": {"catalogue", "data"},
    "scale_command": {"data_command", "training", "scale", "flags"},
    "caption": {"schedules", "losses", "data", "training", "scene", "views", "figures"},
    "press": {"catalogue", "losses", "training", "scene", "render", "figures", "caption"},
    "sheet": {"training", "views", "render", "figures", "press"},
    "building": {"training", "figures", "press"},
    "figure_command": {
        "catalogue",
        "losses",
        "data_command",
        "training",
        "views",
        "figures",
        "flags",
        "press",
        "sheet",
        "building",
    },
    "asked_network": {"data", "models", "training", "evaluation", "flags", "scale"},
    "verify_command": {"group", "devices", "data", "evaluation", "data_command", "asked_network"},
    "export_command": {"export", "asked_network"},
    "cli": {
        "catalogue",
        "losses",
        "head",
        "diagnosis",
        "data",
        "models",
        "training",
        "flags",
        "data_command",
        "figure_command",
        "scale_command",
        "verify_command",
        "export_command",
    },
}
ONLY_IN = {
    "streamlit": (),
    "plotly": ("render",),
    "matplotlib": ("render",),
    "starlette": ("live",),
    "PIL": ("live", "data"),
    "sklearn": ("data",),
    "umap": ("projections",),
    "onnx": ("export",),
    "onnxscript": ("export",),
    "onnxruntime": ("export",),
}


def modules():
    return sorted((ROOT / "losslab").rglob("*.py"))


def imported(path: Path) -> set[str]:
    """Absolute names of everything that a file imports, also inside functions."""
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            start = list(package[: len(package) - node.level + 1]) if node.level else []
            base = ".".join(start + ([node.module] if node.module else []))
            found |= {base} | {f"{base}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(ROOT)))
def test_a_module_imports_only_what_lies_below_it(path):
    room = path.relative_to(ROOT / "losslab").with_suffix("").parts[0]
    names = imported(path)
    for library, rooms in ONLY_IN.items():
        assert room in rooms or not any(name.split(".")[0] == library for name in names), f"{path} imports {library}"
    if room in SEES:
        seen = {name.split(".")[1] for name in names if name.startswith("losslab.")} & set(ROOMS)
        assert seen <= SEES[room] | {room}, f"{path} reaches for {seen - SEES[room] - {room}}"


def test_the_library_needs_no_app():
    """`import losslab` pays for torch only."""
    import subprocess
    import sys

    code = f"import sys, losslab; print(sorted({set(ONLY_IN)} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[]"
