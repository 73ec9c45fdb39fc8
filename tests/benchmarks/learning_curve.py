"""Accuracy against the number of people, and of clips, that systems learn from.

Run by hand, on any sample store with subjects:

    python -m tests.benchmarks.learning_curve samples -o curve --methods mmtsa,part-svm,tfvs --recipe utd-mhad
        --modalities acc,gyro --people 1,2,3,4,5 --shares 0.1,0.25,0.5

Each subject is left out in turn; of the others so many are learned from (drawn by `--seed`, for each fold), or such a
share of each label's clips of all of them. Every point is a `benchmark` of its own under OUTPUT, so an interrupted
curve goes on. Networks take as many steps however few the clips are (epochs grow as clips shrink, at most tenfold):
what is compared is what there is to learn from, not how long. Writes `curve.md` and `curve.png`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from mmtsa_cli.sampling.store import Store
from mmtsa_cli.stages import benchmark
from mmtsa_cli.stages.tables.bench_recipe import read_bench_recipe

_MOST = 10.0
"""Times as many epochs as the recipe says, at most."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure every point, then write the table and the picture."""
    asked = _parser().parse_args(arguments)
    subjects = len({clip["subject"] for clip in Store(asked.samples).clips})
    points = []
    for people in sorted(asked.people):
        points.append(_measured(asked, f"people-{people}", {"subject": people}, people / (subjects - 1)))
    for share in sorted(asked.shares):
        points.append(_measured(asked, f"share-{share:g}", {"share": share}, share))
    text = _table(points)
    (asked.output / "curve.md").write_text(text, encoding="utf-8")
    (asked.output / "curve.json").write_text(json.dumps(points, indent=1), encoding="utf-8")
    _plot(asked.output / "curve.png", points)
    sys.stdout.write(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("samples", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--methods", default="mmtsa,part-svm", type=lambda text: text.split(","))
    parser.add_argument("--recipe", default="recommended")
    parser.add_argument("--set", dest="settings", action="append", default=[])
    parser.add_argument("--modalities", type=lambda text: text.split(","))
    parser.add_argument("--people", default=[], type=lambda text: [int(part) for part in text.split(",")])
    parser.add_argument("--shares", default=[], type=lambda text: [float(part) for part in text.split(",")])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1)
    return parser


def _measured(asked: argparse.Namespace, name: str, less: Mapping[str, Any], part: float) -> dict[str, Any]:
    """Return what every system reaches with a part of the training clips."""
    asked.output.mkdir(parents=True, exist_ok=True)
    protocol = asked.output / f"{name}.yaml"
    protocol.write_text(yaml.safe_dump({"leave_one_out": "subject", "less": {**less, "seed": asked.seed}}))
    recipe = read_bench_recipe(asked.recipe, asked.settings)
    settings = list(asked.settings)
    for method in asked.methods:
        training = recipe.settings_of(method).get("training", {})
        if "epochs" in training:
            epochs = round(training["epochs"] * min(1 / part, _MOST))
            settings.append(f"methods.{method}.training.epochs={epochs}")
    result = benchmark.run(
        asked.samples,
        asked.output / name,
        methods=asked.methods,
        recipe=asked.recipe,
        settings=settings,
        protocol=str(protocol),
        modalities=asked.modalities,
        seeds=asked.seeds,
        jobs=asked.jobs,
        note=lambda text: sys.stderr.write(f"{name}: {text}\n"),
    )
    folds = json.loads((asked.output / name / "manifest.json").read_text())["configuration"]["folds"]
    clips = sum(fold["train"] for fold in folds) / len(folds)
    return {"name": name, **less, "clips": clips, "rows": result.facts["rows"]}


def _table(points: Sequence[Mapping[str, Any]]) -> str:
    names = [row["method"] for row in points[0]["rows"]]
    lines = [
        "| learned from | clips | "
        + " | ".join(f"{name}, accuracy (95 % interval), macro F1" for name in names)
        + " |",
        "|---|---:|" + "---:|" * len(names),
    ]
    for point in points:
        people = point.get("subject")
        what = (
            f"{people} {'person' if people == 1 else 'people'}"
            if "subject" in point
            else f"{point['share']:.0%} of each label's clips"
        )
        lines.append(f"| {what} | {point['clips']:.0f} | " + " | ".join(map(_cell, point["rows"])) + " |")
    return "\n".join(lines) + "\n"


def _cell(row: Mapping[str, Any]) -> str:
    if row["status"] != "done":
        return str(row["outcome"])
    low, high = row["interval_95"]
    return f"{100 * row['accuracy']:.1f} ({100 * low:.1f} to {100 * high:.1f}), {100 * row['macro_f1']:.1f}"


def _plot(path: Path, points: Sequence[Mapping[str, Any]]) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.ticker import MaxNLocator

    sides = [("subject", "people learned from"), ("share", "clips learned from, of all people")]
    sides = [side for side in sides if any(side[0] in point for point in points)]
    figure, axes = plt.subplots(1, len(sides), figsize=(5 * len(sides), 3.8), layout="constrained", squeeze=False)
    for (key, label), one in zip(sides, axes[0], strict=True):
        chosen = [point for point in points if key in point]
        for number, name in enumerate(row["method"] for row in chosen[0]["rows"]):
            rows = [point["rows"][number] for point in chosen]
            done = [
                (p[key] if key == "subject" else p["clips"], r)
                for p, r in zip(chosen, rows, strict=True)
                if r["status"] == "done"
            ]
            x = [place for place, _ in done]
            (line,) = one.plot(x, [r["macro_f1"] for _, r in done], marker="o", ms=4, label=name)
            one.fill_between(x, *zip(*(r["macro_f1_interval_95"] for _, r in done), strict=True),
                             color=line.get_color(), alpha=0.12, lw=0)  # fmt: skip
        one.xaxis.set_major_locator(MaxNLocator(integer=True))
        one.set(xlabel=label, ylabel="macro F1 on people left out", ylim=(0, 1))
        one.grid(alpha=0.3)
        one.spines[["top", "right"]].set_visible(False)
        one.legend(frameon=False, fontsize=8, loc="lower right")
    figure.savefig(path, dpi=110)
    plt.close(figure)


if __name__ == "__main__":
    main()
