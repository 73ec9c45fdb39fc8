"""Every registered adapter against the contract; one without a writer of its layout fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmtsa_cli.recordings.datasets.registry import ADAPTERS
from tests.contracts import dataset
from tests.trees.utd_mhad import write_utd_mhad

WRITERS = {"utd-mhad": lambda root: write_utd_mhad(root, colour=True)}


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
