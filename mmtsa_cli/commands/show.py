"""`mmtsa show`: a table of all recordings, or a picture of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from mmtsa_cli.commands import console, options
from mmtsa_cli.errors import UsageError

_OF_THE_TABLE = ("by", "limit", "jobs")
_OF_A_PICTURE = ("segments", "frames", "window", "seed", "field", "scaled_range", "scale")
_RATES = ("lowest_Hz", "median_Hz", "highest_Hz")
_LENGTHS = ("shortest_s", "median_s", "longest_s")
_COLUMNS = 12
_COLUMN_LETTERS = 60


@click.command()
@click.argument("recordings", type=options.Place())
@click.argument("name", metavar="[ID]", required=False)
@click.option("-o", "--output", type=options.LocalPath(), help="Picture of ID to write, .png or .svg.")
@click.option("--by", default="subject", show_default=True, help="Table: the column that labels are counted by.")
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    default=50,
    show_default=True,
    help="Table: recordings that are opened, at most, to measure rates and durations.",
)
@options.jobs
@options.segments
@options.frames
@options.window
@click.option(
    "--seed",
    type=click.IntRange(0, 2**31 - 1),
    help="Picture: draw at random by this seed, as in training.  [default: the centres, as in evaluation]",
)
@options.field
@options.scaled_range
@click.option(
    "--scale",
    type=click.Choice(["clip", "window"]),
    default="clip",
    show_default=True,
    help="Picture: rescale by the extremes of the whole clip, or of each window.",
)
@options.modalities
@options.max_gap
@options.root
@options.json_output
@click.pass_context
def command(
    ctx: click.Context,
    recordings: Path,
    name: str | None,
    output: Path | None,
    by: str,
    limit: int,
    jobs: int | None,
    segments: int,
    frames: int,
    window: float,
    seed: int | None,
    field: str,
    scaled_range: str,
    scale: str,
    modalities: tuple[str, ...] | None,
    max_gap: float,
    root: Path | None,
    as_json: bool,
) -> None:
    """Look at RECORDINGS: a table of all, or with ID and -o a picture of one.

    Reads a directory with an index, and the files of ID, or of a few recordings to measure them. Writes one picture:
    the frames of ID over its sensors' curves on one time axis, with the segments and windows that would be drawn, and
    their fields and frames below. Without ID nothing is written: labels by subject, what each modality is, lacks and
    measures, and the protocols are printed as tables.

    \b
    Examples:
      mmtsa show rec
      mmtsa show rec --by session --limit 200
      mmtsa show rec a1_s1_t1 -o clip.png
      mmtsa show rec a1_s1_t1 -o clip.png --segments 8 --window 1 --seed 3
    """  # noqa: D301 - click takes the real backspace
    if name is None or output is None:
        _check_table(ctx, name, output)
        _show_table(recordings, by, modalities, limit, max_gap, root, jobs, as_json)
        return
    _refuse(ctx, _OF_THE_TABLE, "describes the table of all recordings", "leave out ID and -o, or the option")
    from mmtsa_cli.stages import show

    wanted = show.ShowOptions(
        segments=segments,
        frames=frames,
        window_s=window,
        max_gap_s=max_gap,
        seed=seed,
        field=field,  # type: ignore[arg-type]
        range=scaled_range,  # type: ignore[arg-type]
        scale=scale,  # type: ignore[arg-type]
    )
    result = show.run(recordings, name, output, modalities=modalities, root=root, options=wanted)
    for note in result.facts["notes"]:
        console.note(note)
    if as_json:
        console.print_json(result.facts)
    else:
        console.print_facts(f"Picture {output}", _summary(result.facts))


def _check_table(ctx: click.Context, name: str | None, output: Path | None) -> None:
    if name is not None:
        remedy = "give -o clip.png"
        raise UsageError("a picture of one recording needs a file to write", where=f"recording {name}", remedy=remedy)
    if output is not None:
        remedy = f"name one: mmtsa show {ctx.params['recordings']} ID -o {output}"
        raise UsageError("a picture shows one recording, and none is named", where=f"--output {output}", remedy=remedy)
    _refuse(ctx, _OF_A_PICTURE, "describes the picture of one recording", "add its ID and -o clip.png")


def _refuse(ctx: click.Context, parameters: Sequence[str], what: str, remedy: str) -> None:
    """Refuse an option that would be ignored."""
    for parameter in ctx.command.params:
        if parameter.name in parameters and ctx.get_parameter_source(parameter.name) is ParameterSource.COMMANDLINE:
            raise UsageError(what, where=parameter.opts[0], remedy=remedy)


def _summary(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "recording": facts["id"],
        "label": facts["label"],
        "subject": facts["subject"],
        "seconds": f"{facts['seconds']:.2f}",
        "segments": len(facts["segments"]),
        "videos": list(facts["videos"]),
        "sensors": [f"{name} {sensor['hz']:g} Hz" for name, sensor in facts["sensors"].items()],
    }


# The table


def _show_table(
    recordings: Path,
    by: str,
    modalities: tuple[str, ...] | None,
    limit: int,
    max_gap: float,
    root: Path | None,
    jobs: int | None,
    as_json: bool,
) -> None:
    from mmtsa_cli.stages import overview

    with console.progress("show") as progress:
        found = overview.run(
            recordings,
            by=by,
            modalities=modalities,
            limit=limit,
            max_gap_s=max_gap,
            root=root,
            jobs=jobs,
            progress=progress,
        )
    for warning in found.warnings:
        console.warn(warning)
    if as_json:
        tables = {"by_label": found.labels, "modalities": found.modalities, "protocols": found.protocols}
        console.print_json({**found.facts, **tables})
        return
    count, measured = found.facts["recordings"], found.facts["measured"]
    console.print_facts(f"Recordings {recordings}", _headline(found.facts))
    console.print_table(f"Labels by {by}", *_label_table(found.labels, by))
    console.print_rows("Modalities", [_modality_row(modality) for modality in found.modalities])
    if measured:
        rows = [_measured_row(modality) for modality in found.modalities]
        console.print_rows(f"Measured on {measured} of {count} recordings", rows)
    rows = [_protocol_row(protocol, found.facts["default_protocol"]) for protocol in found.protocols]
    console.print_rows("Protocols, with clips", rows)


def _headline(facts: Mapping[str, Any]) -> dict[str, Any]:
    seconds = facts["seconds"]
    return {
        "name": facts["name"],
        "recordings": facts["recordings"],
        "labels": facts["labels"],
        f"{facts['by']}s": facts["values"],
        "files": facts["files"],
        "files_not_there": facts["files_not_there"] or None,
        "seconds": f"{seconds[0]:.2f} to {seconds[2]:.2f}, median {seconds[1]:.2f}" if seconds else None,
    }


def _label_table(labels: Sequence[Mapping[str, Any]], by: str) -> tuple[list[str], list[list[Any]]]:
    """Return a column a value where they fit beside each other, else how evenly each label is spread over them."""
    values = list(labels[0]["counts"])
    if len(values) > _COLUMNS or sum(len(value) + 3 for value in values) > _COLUMN_LETTERS:
        columns = ["label", "recordings", f"{by}s with it", f"fewest a {by}", f"most a {by}"]
        return columns, [_compact_row(its) for its in labels]
    rows = [[its["label"], *its["counts"].values(), its["recordings"]] for its in labels]
    sums = [sum(column) for column in zip(*(row[1:] for row in rows), strict=True)]
    return ["label", *(value or "(none)" for value in values), "all"], [*rows, ["all", *sums]]


def _compact_row(label: Mapping[str, Any]) -> list[Any]:
    counts = label["counts"].values()
    return [label["label"], label["recordings"], sum(count > 0 for count in counts), min(counts), max(counts)]


def _modality_row(its: Mapping[str, Any]) -> dict[str, Any]:
    row = {key: its[key] for key in ("modality", "kind", "unit", "files", "not_recorded", "not_there")}
    return {**row, "nominal_Hz": f"{its['nominal_hz']:g}" if its["nominal_hz"] else ""}


def _measured_row(its: Mapping[str, Any]) -> dict[str, Any]:
    row = {"modality": its["modality"], "files": its["measured"], "unusable": its["unusable"]}
    for key, titles in (("hz", _RATES), ("seconds", _LENGTHS)):
        row.update(zip(titles, its[key] or [None] * 3, strict=True))
    return row


def _protocol_row(its: Mapping[str, Any], default: str | None) -> dict[str, Any]:
    row = {"protocol": its["protocol"], "default": "yes" if its["protocol"] == default else ""}
    if "problem" in its:
        return {**row, "folds": "", "train": "", "test": "", "problem": its["problem"]}
    return {**row, "folds": its["folds"], "train": _sizes(its["train"]), "test": _sizes(its["test"])}


def _sizes(sizes: Sequence[int]) -> str:
    return str(sizes[0]) if sizes[0] == sizes[1] else f"{sizes[0]} to {sizes[1]}"
