"""Make the recordings that the app ships: short real runs, thinned.

Usage: python -m scripts.make_recordings [name ...]    all of them, or those of these names
"""

import json
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np

from losslab import ArcFace, NormFace, Softmax
from losslab.training import Recipe, Run, RunWriter, probe, thin, train

RECORDINGS = Path(__file__).parents[1] / "recordings"
SEVEN = (0, 1, 2, 3, 4, 5, 6)
RECIPES = {
    "arcface-sphere": ("ArcFace on the sphere, ten digits", Recipe()),
    "arcface-circle": (
        "ArcFace on the circle, five digits",
        Recipe(loss=ArcFace(scale=16, margin=0.3), dim=2, classes=(0, 1, 2, 3, 4)),
    ),
    "softmax-plane": ("Plain softmax, ten digits", Recipe(loss=Softmax(), dim=2)),
    # Two of one recipe, to be compared: digits 7 to 9 are left out, and the weights are kept to see how they fare.
    "compare-normface": ("NormFace on the sphere, digits 0 to 6", Recipe(loss=NormFace(scale=16), classes=SEVEN)),
    "compare-arcface": ("ArcFace on the sphere, digits 0 to 6", Recipe(classes=SEVEN)),
}
COMPARED = ("compare-normface", "compare-arcface")

for name in sys.argv[1:] or RECIPES:
    title, recipe = RECIPES[name]
    with tempfile.TemporaryDirectory() as folder:
        writer = RunWriter(Path(folder) / name, recipe, probe(recipe))
        for snapshot in train(recipe):
            writer.append(snapshot)
        writer.state("done")
        writer.close()
        shutil.rmtree(RECORDINGS / name, ignore_errors=True)
        whole = Run(Path(folder) / name)
        thin(whole, RECORDINGS / name, samples=420 if name in COMPARED else 600)
        if name in COMPARED:
            weights = {
                part: np.float16(value) if value.dtype == np.float32 else value for part, value in whole.weights.items()
            }
            np.savez_compressed(RECORDINGS / name / "weights.npz", **weights)
    written = RECORDINGS / name / "recipe.json"
    written.write_text(json.dumps(json.loads(written.read_text()) | {"title": title}, indent=1) + "\n")
    print(name, sum(f.stat().st_size for f in (RECORDINGS / name).iterdir()) // 1000, "kB", snapshot.scalars)
