"""`mmtsa train --deterministic`: two runs are one to the bit, and what that costs is told."""

from __future__ import annotations

import re

RECIPE = """
sampling: {frame_size: 32, window: 1.0}
imaging: {scale: dataset, image_size: 24}
model: {backbone: resnet10, width: 0.25, hidden: 16}
training: {epochs: 1, batch_size: 28, threads: 1}
"""


def test_two_runs_have_the_same_bytes_and_the_cost_is_told(mmtsa, samples, tmp_path):
    recipe = tmp_path / "quick.yaml"
    recipe.write_text(RECIPE)
    arguments = ("--recipe", recipe, "--modalities", "gyro,acc_watch", "--deterministic")
    one = mmtsa("train", samples, "-o", tmp_path / "one", *arguments)
    mmtsa("train", samples, "-o", tmp_path / "two", *arguments, "--set", "training.workers=3")
    weights = [next((tmp_path / name).rglob("best.safetensors")).read_bytes() for name in ("one", "two")]
    assert weights[0] == weights[1]
    told = " ".join(one.stdout.split())
    assert re.search(r"\d+\.\d+ x", told), told
    plain = mmtsa("train", samples, "-o", tmp_path / "plain", *arguments[:-1])
    assert "deterministic" not in plain.stdout
