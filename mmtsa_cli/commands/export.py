"""`mmtsa export`: a training run to a model that runs without this package."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mmtsa_cli.commands import console, options


@click.command()
@click.argument("run", type=options.Place())
@options.output_directory
@click.option(
    "--format",
    "form",
    type=click.Choice(["onnx", "torch", "executorch"]),
    default="onnx",
    show_default=True,
    help="ONNX, a program of torch.export (.pt2), or one of ExecuTorch (.pte, for phones).",
)
@click.option("--fold", help="Network of one fold of the run.  [default: the only one]")
@click.option("--int8", is_flag=True, help="Also write 8-bit integers, calibrated on training clips, and compare.")
@click.option(
    "--samples",
    type=options.LocalPath(),
    help="Sample store that the graph is checked and calibrated on.  [default: the run's own, if it is still there]",
)
@click.option(
    "--evaluation",
    type=options.LocalPath(),
    help="Evaluation of the run (from `mmtsa eval`) whose figures go into the model card.",
)
@options.overwrite
@options.json_output
def command(
    run: Path,
    output: Path,
    form: str,
    fold: str | None,
    int8: bool,
    samples: Path | None,
    evaluation: Path | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Export a network of a training RUN as a graph that needs none of this package.

    Reads a run (from `mmtsa train`) and, to check the graph, a sample store; without one it is checked on synthetic
    inputs. Writes model.onnx (or model.pt2, model.pte), whose inputs are frames and raw sensor windows of any number of
    clips (ExecuTorch: at most 8) and whose outputs are probabilities and attention; a model card, CARD.md and
    card.json; and example.py, which runs the model with onnxruntime and NumPy alone. The graph must say what the run
    says, else nothing is written.

    \b
    Examples:
      mmtsa export run -o model
      mmtsa export run -o model --int8 --samples samples --evaluation eval
      mmtsa export run -o model --format torch --fold subject-1
    """  # noqa: D301 - click takes the real backspace
    from mmtsa_cli.stages import export

    wishes = export.ExportOptions(form, fold, int8, samples, evaluation)
    with console.progress("check") as progress:
        result = export.run(run, output, options=wishes, overwrite=overwrite, progress=progress)
    for text in result.facts["notes"]:
        console.note(text)
    console.warn_of(result.facts["warnings"])
    if not result.fresh:
        console.note(f"{output} already holds this result")
    if as_json:
        console.print_json(result.facts)
        return
    _print(output, result.facts)


def _print(output: Path, facts: dict[str, Any]) -> None:
    its = facts["verification"]
    counts = ", ".join(f"{clips} in batches of {size}" for size, clips in its["clips"].items())
    shown = {
        "files": [f"{name} ({size / 1e6:.2f} MB)" for name, size in facts["files"].items()],
        "fold": facts["fold"],
        "checked on": f"{its['on']}: {counts}",
        "largest difference": f"{its['probabilities']:.2g} of probabilities, {its['attention']:.2g} of attention "
        f"(error above {its['bound']:g})",
    }
    console.print_facts(f"Model {output}", shown)
    columns = ["", "accuracy", "macro F1", "clips", "median ms", "95th percentile", "least"]
    keys = ("what", "accuracy", "macro_f1", "n", "latency_ms", "latency_p95_ms", "least_ms")
    rows = [[row.get(key) for key in keys] for row in facts["figures"]["rows"]]
    console.print_table("Measured, times of one clip on one thread", columns, rows)
