"""The example that lies beside an exported model: a program without this package."""

from __future__ import annotations

_TEXT = '''"""Class and probability of clips by MODEL; needs NumPy and RUNTIME alone.

python example.py acc=acc.csv depth=depth.npy   a clip: rows of a sensor (a heading, a column an axis), or an array
python example.py inputs.npz                    arrays of one or more clips, named and shaped as in card.json
"""

import csv
import json
import sys
from pathlib import Path

import numpy as np
IMPORT

HERE = Path(__file__).parent
CARD = json.loads((HERE / "card.json").read_text(encoding="utf-8"))
INPUTS = {one["name"]: one for one in CARD["inputs"]}
clips = {}


def read_csv(name, path):
    """Cut a sensor's rows, in the rate and unit of the card, into the window at the centre of each segment."""
    with open(path, newline="", encoding="utf-8") as file:
        rows = np.array([[row[axis] for axis in INPUTS[name]["axes"]] for row in csv.DictReader(file)], np.float32)
    segments, _, size = INPUTS[name]["shape"][1:]
    middles = (np.arange(segments) + 0.5) * len(rows) / segments
    first = np.clip(np.rint(middles - size / 2).astype(int), 0, len(rows) - size)
    clips[name] = rows[first[:, None] + np.arange(size)].transpose(0, 2, 1)[None]
    clips[name + ".extremes"] = np.stack([rows.min(axis=0), rows.max(axis=0)], axis=1)[None]


for argument in sys.argv[1:]:
    name, _, path = argument.rpartition("=")
    if path.endswith(".csv"):
        read_csv(name, path)
    else:
        clips.update({name: np.load(path)[None]} if name else np.load(path))
feed = {name: np.asarray(clips[name], INPUTS[name]["dtype"]) for name in INPUTS}
ASK
for row in probabilities:
    print(CARD["classes"][row.argmax()], f"{row.max():.4f}")
'''

_ASK = {
    "onnxruntime": """session = onnxruntime.InferenceSession(HERE / "MODEL", providers=["CPUExecutionProvider"])
probabilities, attention = session.run(["probabilities", "attention"], feed)""",
    "torch": """network = torch.export.load(HERE / "MODEL").module()
probabilities, attention = (a.detach().numpy() for a in network(*map(torch.from_numpy, feed.values())))""",
    "executorch": """program = Runtime.get().load_program(str(HERE / "MODEL")).load_method("forward")
probabilities, attention = (a.numpy() for a in program.execute([torch.from_numpy(a) for a in feed.values()]))""",
}
_IMPORT = {"executorch": "import torch\nfrom executorch.runtime import Runtime"}


def example(model: str, runtime: str) -> str:
    """Return the text of `example.py`.

    Parameters
    ----------
    model : str
        Name of the model's file.
    runtime : "onnxruntime", "torch" or "executorch"
        What runs it.
    """
    text = _TEXT.replace("ASK", _ASK[runtime]).replace("IMPORT", _IMPORT.get(runtime, f"import {runtime}"))
    return text.replace("RUNTIME", runtime).replace("MODEL", model)
