"""`mmtsa eval`: a training run and a sample store to an evaluation."""

from __future__ import annotations

from pathlib import Path

import click

from mmtsa_cli.commands import console, options


@click.command()
@click.argument("run", type=options.Place())
@click.argument("samples", type=options.Place())
@options.output_directory
@options.protocol
@options.seed
@click.option(
    "--calibrate",
    is_flag=True,
    help="Fit a temperature on the run's validation clips; report the calibration error before and after.",
)
@click.option(
    "--modalities",
    callback=options.names,
    help="With these alone, of a run that learned to do without the others (train --modality-dropout).",
)
@click.option("--all-subsets", is_flag=True, help="Also with every subset of the modalities.")
@click.option(
    "--segments",
    callback=options.counts,
    metavar="NUMBERS",
    help="Also with clips cut into these numbers of segments, as in 1,2,3: what fewer cost and give.",
)
@click.option(
    "--corrupt",
    callback=options.names,
    metavar="FAULTS",
    help="Also with faults, each at four strengths: all, or some of noise, bias, drop, shift, blur, dark, occlude.",
)
@click.option(
    "--int8",
    is_flag=True,
    help="In 8-bit integers, scaled by training clips: faster on x86; what that changes is told.",
)
@options.overwrite
@options.json_output
def command(
    run: Path,
    samples: Path,
    output: Path,
    protocol: str | None,
    seed: int,
    calibrate: bool,
    modalities: tuple[str, ...] | None,
    all_subsets: bool,
    segments: tuple[int, ...],
    corrupt: tuple[str, ...] | None,
    int8: bool,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Evaluate a training RUN on the test clips of SAMPLES.

    Reads a run (from `mmtsa train`) and a sample store. Writes metrics.json (accuracy, which is micro F1, macro F1, F1
    of each class, all with 95 % intervals), predictions.csv (probabilities and attention of every clip), confusion.csv
    and confusion.png. A run of several folds is reported fold by fold and pooled. With --calibrate also
    calibration.json, which `mmtsa predict --calibration` uses; with --int8 integers.json, which `mmtsa predict --int8`
    uses; with --all-subsets subsets.csv; with --segments segments.csv; with --corrupt robustness.csv and .png.

    \b
    Examples:
      mmtsa eval run samples -o eval
      mmtsa eval run samples -o eval --protocol split.yaml --json
      mmtsa eval run samples -o eval --calibrate
      mmtsa eval run samples -o eval --segments 1,2,3
      mmtsa eval run samples -o eval --int8
      mmtsa eval run samples -o eval --all-subsets --corrupt noise,drop,shift,blur
    """  # noqa: D301 - click takes the real backspace
    from mmtsa_cli.stages import eval as evaluation

    wanted = evaluation.EvalOptions(modalities or (), all_subsets, corrupt or (), calibrate, segments, int8)
    with console.progress("predict") as progress:
        result = evaluation.run(
            run,
            samples,
            output,
            protocol=protocol,
            options=wanted,
            seed=seed,
            overwrite=overwrite,
            progress=progress,
            note=console.note,
        )
    if not result.fresh:
        console.note(f"{output} already holds this result")
    if as_json:
        console.print_json(result.metrics)
        return
    _print_scores(output, result.metrics)
    _print_conditions(result.metrics)
    if "calibration" in result.metrics:
        _print_calibration(result.metrics["calibration"])
    if "int8" in result.metrics:
        console.note(evaluation.told_of_integers(result.metrics["int8"]))
    _say_of_scores(result.metrics)


def _print_scores(output: Path, metrics: dict) -> None:
    if len(metrics["folds"]) > 1:
        console.print_table("Folds", _COLUMNS, [(fold["name"], *_row(fold)) for fold in metrics["folds"]])
    console.print_table(f"Evaluation {output}, {metrics['protocol']}", _COLUMNS, [("all", *_row(metrics))])
    console.print_table(
        "Classes",
        ("class", "F1", "95 % interval", "precision", "recall", "clips"),
        [
            (n, c["f1"], _interval(c["interval_95"]), c["precision"], c["recall"], c["n"])
            for n, c in metrics["per_class"].items()
        ],
    )


def _print_conditions(metrics: dict) -> None:
    """Print what was measured of missing modalities, fewer segments and faults, where it was asked for."""
    if "subsets" in metrics:
        rows = [("+".join(row["modalities"]), *_row(row)) for row in metrics["subsets"]]
        console.print_table("Subsets of the modalities", ("modalities", *_COLUMNS[1:]), rows)
    if "segments" in metrics:
        cut = [(str(row["segments"]), f"{1000 * row['gmac']:.1f}", *_row(row)) for row in metrics["segments"]]
        console.print_table("Fewer segments", ("segments", "MMAC a draw", *_COLUMNS[1:]), cut)
    if "robustness" in metrics:
        sound = ("none", 0.0, *_row(metrics))
        faulty = [(row["fault"], row["strength"], *_row(row)) for row in metrics["robustness"]]
        console.print_table("Faults", ("fault", "strength", *_COLUMNS[1:]), [sound, *faulty])
        about = {row["fault"]: row["about"] for row in metrics["robustness"]}
        console.note("strengths: " + "; ".join(f"{fault}, {what}" for fault, what in about.items()))


def _say_of_scores(metrics: dict) -> None:
    if "ceilings" in metrics:
        best = ", ".join(f"{name} {value:.3f}" for name, value in metrics["ceilings"].items())
        console.note(f"best possible accuracy on these recordings: {best}")
    console.note(f"95 % intervals: bootstrap over {metrics['interval_over']}; training seed {metrics['seed']}")


def _print_calibration(found: dict) -> None:
    rows = [
        (when, its["expected_calibration_error"], its["negative_log_likelihood"], its["mean_confidence"])
        for when, its in ((when, found[when]) for when in ("before", "after"))
    ]
    columns = ("", "expected calibration error", "negative log likelihood", "mean confidence")
    console.print_table("Calibration", columns, rows)
    fitted = ", ".join(
        f"{fold['temperature']:.3f} ({name}, {fold['validation_clips']} validation clips)"
        for name, fold in found["folds"].items()
    )
    console.note(f"temperature {fitted}; {found['n']} test clips in {found['bins']} bins")


_COLUMNS = ("test part", "accuracy = micro F1", "95 % interval", "macro F1", "95 % interval", "clips", "subjects")


def _row(scores: dict) -> tuple:
    return (
        scores["accuracy"],
        _interval(scores["interval_95"]),
        scores["macro_f1"],
        _interval(scores["macro_f1_interval_95"]),
        scores["n"],
        scores["subjects"],
    )


def _interval(bounds: list[float]) -> str:
    return f"{bounds[0]:.3f} to {bounds[1]:.3f}"
