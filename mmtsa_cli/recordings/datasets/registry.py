"""The datasets that `prepare` knows."""

from __future__ import annotations

from mmtsa_cli.errors import UsageError, did_you_mean
from mmtsa_cli.recordings.datasets.adapter import Adapter
from mmtsa_cli.recordings.datasets.dataego import DataEgo
from mmtsa_cli.recordings.datasets.egocentric import Egocentric
from mmtsa_cli.recordings.datasets.folder import Folder
from mmtsa_cli.recordings.datasets.gopro import GoPro
from mmtsa_cli.recordings.datasets.mmact import MMAct
from mmtsa_cli.recordings.datasets.sp_sw_har import SpSwHar
from mmtsa_cli.recordings.datasets.uestc_mmea import UestcMmea
from mmtsa_cli.recordings.datasets.utd_mhad import UtdMhad

ADAPTERS: dict[str, Adapter] = {
    adapter.name: adapter
    for adapter in (DataEgo(), MMAct(), Egocentric(), SpSwHar(), UestcMmea(), UtdMhad(), GoPro(), Folder())
}


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
