"""Every registered system against the contract."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from mmtsa_cli.errors import DataError, UsageError
from mmtsa_cli.methods.registry import ENTRIES, YARDSTICK, class_of, entry_of, modalities_of
from mmtsa_cli.sampling.store import Store
from tests.contracts import method as contract

NAMES = [entry.name for entry in (*ENTRIES, YARDSTICK)]


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One cache for the module: trajectories take as long as all else."""
    directory = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MMTSA_CACHE", str(directory))
        yield directory


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("methods")


@pytest.fixture(scope="module")
def fitted_of(samples: Path, places: Path):
    """Fit each system once."""
    store, known = Store(samples), {}

    def get(name: str) -> contract.Fitted:
        if name not in known:
            known[name] = contract.fit(entry_of(name), store, places / name.replace("+", "_"))
        return known[name]

    return get


def test_the_table_holds_the_systems_of_the_paper() -> None:
    assert len(NAMES) == len(set(NAMES)) == 22 + 1
    assert len(list(contract.checks())) == 9
    assert all(entry.published for entry in ENTRIES)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("check", list(contract.checks()), ids=lambda check: check.__name__)
def test_contract(fitted_of, name: str, check: contract.Check) -> None:
    check(fitted_of(name))


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_gives_the_same_numbers(fitted_of, places: Path, name: str) -> None:
    first = fitted_of(name)
    again = contract.fit(first.entry, first.test.store, places / "again" / name.replace("+", "_"))
    np.testing.assert_allclose(
        again.method.predict_proba(again.test), first.method.predict_proba(first.test), atol=1e-6
    )


def test_names_are_found_or_offered() -> None:
    assert class_of(entry_of("mmtsa")).__name__ == "Mmtsa"
    with pytest.raises(UsageError, match=r"no method 'hamlett'; did you mean hamlet\?"):
        entry_of("hamlett")


def test_what_a_system_reads() -> None:
    kinds = {"depth": "video", "rgb": "video", "acc_phone": "sensor", "gyro": "sensor"}
    assert modalities_of(entry_of("mmtsa"), kinds) == ("depth", "rgb", "acc_phone", "gyro")
    assert modalities_of(entry_of("mmtsa"), {"gyro": "sensor"}) == ("gyro",)
    assert modalities_of(entry_of("hamlet"), kinds) == ("rgb", "acc_phone", "gyro")
    assert modalities_of(entry_of("tsn-rgb"), {"depth": "video", "acc": "sensor"}) == ("depth",)
    assert modalities_of(entry_of("svm"), kinds) == ("acc_phone",)
    assert modalities_of(entry_of("tfvs"), kinds) == ("acc_phone", "gyro")
    with pytest.raises(DataError, match="svm needs an accelerometer, expected an accelerometer, found gyro"):
        modalities_of(entry_of("svm"), {"gyro": "sensor"})
