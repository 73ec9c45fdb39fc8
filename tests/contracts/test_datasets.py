"""Every registered adapter against the contract; one without a writer of its layout fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmtsa_cli.recordings.datasets.registry import ADAPTERS
from tests.contracts import dataset
from tests.trees.dataego import write_dataego
from tests.trees.egocentric import write_egocentric
from tests.trees.folder import write_classes
from tests.trees.gopro import write_gopro
from tests.trees.mmact import CLIPS, write_mmact
from tests.trees.sp_sw_har import write_sp_sw_har
from tests.trees.uestc_mmea import write_uestc_mmea
from tests.trees.utd_mhad import write_utd_mhad

WRITERS = {
    "dataego": write_dataego,
    # Files of no bytes are the stage's to take away.
    "mmact": lambda root: write_mmact(root, clips=[clip for clip in CLIPS if not clip.empty]),
    "egocentric": write_egocentric,
    "sp-sw-har": write_sp_sw_har,
    "uestc-mmea": write_uestc_mmea,
    "gopro": write_gopro,
    "folder": write_classes,
    "utd-mhad": lambda root: write_utd_mhad(root, colour=True),
}


def test_every_adapter_has_a_writer_of_its_layout() -> None:
    assert set(WRITERS) == set(ADAPTERS)
    assert len(list(dataset.checks())) == 10


@pytest.mark.parametrize("name", list(ADAPTERS))
@pytest.mark.parametrize("check", list(dataset.checks()), ids=lambda check: check.__name__)
def test_contract(name: str, check: dataset.Check, tmp_path: Path) -> None:
    root = tmp_path / "data"
    root.mkdir()
    WRITERS[name](root)
    check(ADAPTERS[name], root)
