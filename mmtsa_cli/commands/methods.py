"""`mmtsa methods`: the systems that `benchmark` knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from mmtsa_cli.commands import console, options

_PUBLISHED = {
    "mmact cross-subject": "MMAct subject",
    "mmact cross-session": "MMAct session",
    "egocentric": "Egocentric",
    "dataego": "DataEgo",
}


@click.command()
@click.argument("samples", type=options.Place(), required=False)
@options.json_output
def command(samples: Path | None, as_json: bool) -> None:
    """List the systems that `mmtsa benchmark` compares: what each reads, what it is, whose it is.

    Beside them stand the figures that the paper's tables print for them (F1 in percent, published, not measured here).
    With SAMPLES (from `mmtsa sample`), also which could run on them, and the parameters and multiply-accumulates of a
    clip at each system's own defaults. Reads the table of systems, and the entry points "mmtsa.methods" by which
    installed packages add theirs; writes nothing.

    \b
    Examples:
      mmtsa methods samples
      mmtsa methods --json
    """  # noqa: D301 - click takes the real backspace
    from mmtsa_cli.stages import methods

    with console.progress("make") as progress:
        rows = methods.run(samples, progress=progress)
    if as_json:
        console.print_json(rows)
        return
    about = [(row["name"], row["inputs"], row["what"]) for row in rows]
    console.print_table("Systems", ("method", "reads", "what it is"), about)
    heads = ("method", *_PUBLISHED.values(), "source")
    console.print_table("F1 in percent, published, not measured here", heads, [_published_row(row) for row in rows])
    if samples is not None:
        heads = ("method", "runs", "modalities, or why not", "parameters", "GMAC a clip")
        console.print_table(f"On {samples}, at each system's own defaults", heads, [_cost_row(row) for row in rows])
        console.note("parameters and GMAC: of systems that are one network; others have a size once they are fitted")


def _published_row(row: Mapping[str, Any]) -> Sequence[str]:
    published = row["published"]
    figures = [f"{published[key]:.2f}" if key in published else "" for key in _PUBLISHED]
    return (row["name"], *figures, row["source"])


def _cost_row(row: Mapping[str, Any]) -> Sequence[str]:
    if not row["runs"]:
        return (row["name"], "no", row["why_not"], "", "")
    parameters = "" if row["parameters"] is None else f"{row['parameters']:,}"
    macs = "" if row["macs"] is None else f"{row['macs'] / 1e9:.2f}"
    return (row["name"], "yes", ", ".join(row["modalities"]), parameters, macs)
