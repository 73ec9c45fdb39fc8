"""The systems that `benchmark` knows, and which of them could run on some samples, at what cost."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from mmtsa_cli.errors import MmtsaError
from mmtsa_cli.methods.registry import Entry, class_of, entries, modalities_of

Progress = Callable[[int, int], None]


def run(samples: Path | None = None, *, progress: Progress = lambda done, total: None) -> list[dict[str, Any]]:
    """Return what is known of every system, those of installed packages included.

    Without samples no system is imported. With them each is made, untrained, at its own defaults.

    Parameters
    ----------
    samples : Path, optional
        A sample store.

    Returns
    -------
    list of dict
        `name`, `inputs`, `source`, `what` and `published` of the registry. With samples also `runs`, and either
        `modalities`, `parameters` and `macs` (of one clip), None where only training tells them, or `why_not`.

    Raises
    ------
    UsageError
        An entry point that leads to no system.
    ArtifactError
        No sample store.
    """
    known = list(entries().values())
    rows = [_known(entry) for entry in known]
    if samples is None:
        return rows
    from mmtsa_cli.sampling.store import Store

    store = Store(samples)
    for done, (row, entry) in enumerate(zip(rows, known, strict=True), start=1):
        row.update(_on(store, entry))
        progress(done, len(known))
    return rows


def _known(entry: Entry) -> dict[str, Any]:
    return {
        "name": entry.name,
        "inputs": entry.inputs,
        "what": entry.what,
        "source": entry.source,
        "published": dict(entry.published),
    }


def _on(store: Any, entry: Entry) -> dict[str, Any]:
    """Return whether a system can be made for the clips of a store, and what it costs then."""
    from mmtsa_cli.methods.network_method import NetworkMethod
    from mmtsa_cli.sampling.draw import DrawOptions, Samples

    try:
        names = modalities_of(entry, {name: stored.kind for name, stored in store.header.modalities.items()})
        clips = Samples(store, range(len(store)), modalities=names, classes=store.labels, options=DrawOptions())
        cls: Any = class_of(entry)
        method = cls.for_samples(cls.options_class(), clips)
    except MmtsaError as error:
        return {"runs": False, "why_not": error.line()}
    # What is no network has a size only once it is fitted.
    cost = method.cost() if isinstance(method, NetworkMethod) else None
    return {
        "runs": True,
        "modalities": list(names),
        "parameters": cost.parameters if cost else None,
        "macs": cost.macs if cost else None,
    }
