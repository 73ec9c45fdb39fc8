"""The datasets that `prepare` knows."""

from __future__ import annotations

from mmtsa_cli.errors import UsageError, did_you_mean
from mmtsa_cli.recordings.datasets.adapter import Adapter
from mmtsa_cli.recordings.datasets.utd_mhad import UtdMhad

ADAPTERS: dict[str, Adapter] = {adapter.name: adapter for adapter in (UtdMhad(),)}


def adapter_of(name: str) -> Adapter:
    """Return the adapter of a dataset.

    Raises
    ------
    UsageError
        There is none of that name.
    """
    if name not in ADAPTERS:
        remedy = f"{did_you_mean(name, ADAPTERS)}; for other recordings write index.csv yourself"
        raise UsageError(f"no dataset {name!r}", where="DATASET", remedy=remedy)
    return ADAPTERS[name]
