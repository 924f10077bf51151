"""Make the recordings that the app ships: short real runs, thinned. Usage: python -m scripts.make_recordings"""

import json
import shutil
import tempfile
from pathlib import Path

from losslab import ArcFace, Softmax
from losslab.training import Recipe, Run, RunWriter, probe, thin, train

RECORDINGS = Path(__file__).parents[1] / "recordings"
RECIPES = {
    "arcface-sphere": ("ArcFace on the sphere, ten digits", Recipe()),
    "arcface-circle": (
        "ArcFace on the circle, five digits",
        Recipe(loss=ArcFace(scale=16, margin=0.3), dim=2, classes=(0, 1, 2, 3, 4)),
    ),
    "softmax-plane": ("Plain softmax, ten digits", Recipe(loss=Softmax(), dim=2)),
}

for name, (title, recipe) in RECIPES.items():
    with tempfile.TemporaryDirectory() as folder:
        writer = RunWriter(Path(folder) / name, recipe, probe(recipe))
        for snapshot in train(recipe):
            writer.append(snapshot)
        writer.state("done")
        writer.close()
        shutil.rmtree(RECORDINGS / name, ignore_errors=True)
        thin(Run(Path(folder) / name), RECORDINGS / name, samples=600)
    written = RECORDINGS / name / "recipe.json"
    written.write_text(json.dumps(json.loads(written.read_text()) | {"title": title}, indent=1) + "\n")
    print(name, sum(f.stat().st_size for f in (RECORDINGS / name).iterdir()) // 1000, "kB", snapshot.scalars)
