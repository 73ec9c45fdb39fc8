"""Work in several processes: in order, errors as they were raised, nothing running afterwards."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from mmtsa_cli.errors import DataError, ManyErrors, UsageError
from mmtsa_cli.stages.parallel import in_parallel

pytestmark = pytest.mark.usefixtures("eager_processes")


def square(number: int, wait_s: float) -> tuple[int, int]:
    time.sleep(wait_s)
    return number * number, os.getpid()


def refuse(number: int, error: Exception) -> int:
    if number == 3:
        raise error
    return number


def leave_a_mark(directory: Path, number: int) -> int:
    time.sleep(0.01)
    (directory / str(number)).touch()
    return number


@pytest.mark.parametrize("jobs", [1, 2])
def test_results_come_in_the_order_of_the_tasks(jobs: int) -> None:
    # The first ones take longest.
    tasks = [(number, 0.02 * (8 - number)) for number in range(8)]
    with in_parallel(square, tasks, jobs=jobs) as results:
        found = list(results)
    assert [value for value, _ in found] == [number * number for number in range(8)]
    assert (os.getpid() in {process for _, process in found}) == (jobs == 1)


def test_little_work_stays_in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mmtsa_cli.stages.parallel._WORTH_PROCESSES_S", 5.0)
    with in_parallel(square, [(number, 0.0) for number in range(8)], jobs=2) as results:
        assert {process for _, process in results} == {os.getpid()}


def test_nothing_to_do() -> None:
    with in_parallel(square, [], jobs=2) as results:
        assert list(results) == []


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize(
    "error",
    [
        DataError("not a number", where="a.csv, row 3", expected="1", found="x", remedy="mend it"),
        ManyErrors([DataError("one", where="a"), UsageError("two", where="b")]),
        ValueError("of somebody else"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_arrives_as_it_was_raised_after_the_results_before_it(jobs: int, error: Exception) -> None:
    found = []
    with (
        pytest.raises(type(error)) as caught,
        in_parallel(refuse, [(number, error) for number in range(9)], jobs=jobs) as results,
    ):
        found.extend(results)
    assert found == [0, 1, 2]
    assert str(caught.value) == str(error)
    assert getattr(caught.value, "exit_code", None) == getattr(error, "exit_code", None)
    if isinstance(error, ManyErrors):
        assert [inner.line() for inner in caught.value.errors] == ["a: one", "b: two"]
    if isinstance(error, DataError):
        assert caught.value.line() == error.line()


def test_nothing_begins_after_the_block_is_left(tmp_path: Path) -> None:
    tasks = [(tmp_path, number) for number in range(500)]

    def fail_after_the_first() -> None:
        with in_parallel(leave_a_mark, tasks, jobs=2) as results:
            next(results)
            raise ValueError("the disk")

    with pytest.raises(ValueError, match="the disk"):
        fail_after_the_first()
    begun = len(list(tmp_path.iterdir()))
    assert begun < 500
    time.sleep(0.3)
    assert len(list(tmp_path.iterdir())) == begun
