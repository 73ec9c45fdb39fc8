"""What goes wrong under a stage, and what comes after: a few in the suite, all of them in `recipes/faults.sh`."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.faults.faults import FAULTS
from tests.faults.stages import STAGES, write_inputs
from tests.faults.trial import Ground, LostError, Unavailable, trial

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals and processes of POSIX")
MOMENTS = 20
SIGNALS = ("SIGINT", "SIGTERM", "SIGKILL")
QUICK = [
    ("SIGTERM", "sample"),
    ("SIGKILL", "prepare"),
    ("two writers", "prepare"),
    ("vanished input", "prepare"),
    ("changed input", "sample"),
    ("limited file size", "prepare"),
    ("killed worker", "sample"),
]


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    return Ground(write_inputs(tmp_path_factory.mktemp("faults") / "inputs"))


def survive(ground: Ground, fault: str, name: str, seed: int) -> None:
    ground.measure(name)
    try:
        FAULTS[fault][0](ground, name, seed)
    except Unavailable as why:
        pytest.skip(str(why))


@pytest.mark.parametrize(("fault", "name"), QUICK)
def test_a_few_faults(ground: Ground, fault: str, name: str) -> None:
    survive(ground, fault, name, 0)


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", STAGES)
def test_every_fault(ground: Ground, fault: str, name: str) -> None:
    if name not in FAULTS[fault][1]:
        pytest.skip(f"{name} cannot meet it")
    for seed in range(MOMENTS if fault in SIGNALS else 3):
        survive(ground, fault, name, seed)


def test_what_is_lost_would_be_seen(ground: Ground) -> None:
    ground.measure("prepare")
    with trial(ground, "prepare", seed=0) as one:
        one.expect(one.start(), 0)
        with pytest.raises(LostError, match="exit code 0, wanted"):
            one.expect(one.start(), 1)
        one.check_nothing_stays()
        index = one.output / "index.csv"
        index.write_text(index.read_text() + "\n")
        with pytest.raises(LostError, match=r"1 parts differ from the undisturbed: \['index.csv'\]"):
            one.check_same(one.stage.result(one.output))
        (one.output.parent / "result.partial").mkdir()
        with pytest.raises(LostError, match=r"beside the result: \['result', 'result.partial'\]"):
            one.check_nothing_stays()


def test_every_fault_has_a_stage() -> None:
    assert len(FAULTS) == 13
    assert all(set(stages) <= set(STAGES) and stages for _, stages in FAULTS.values())
    assert {fault for fault, _ in QUICK} <= set(FAULTS)
    assert Path(__file__).parents[2].joinpath("recipes", "faults.sh").is_file()
