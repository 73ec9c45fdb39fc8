"""Networks side by side: the same answers, several at a time, and the threads as they were before."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event, current_thread, get_ident

import pytest
import torch

from mmtsa_cli.models.side_by_side import side_by_side


@pytest.fixture(autouse=True)
def _two_threads(_one_thread: None) -> None:
    torch.set_num_threads(2)


def test_two_run_at_a_time_with_a_thread_each_and_answers_keep_their_order():
    both, seen = Barrier(2, timeout=20), []

    def call(name, wait):
        def said():
            seen.append((name, get_ident(), torch.get_num_threads(), torch.is_inference_mode_enabled()))
            if wait:
                both.wait()
            return {name: torch.ones(2)}

        return said

    # Either waits for the other: one after the other they would never end.
    said = side_by_side([call("small", False), call("left", True), call("right", True)], [1, 5, 4])
    assert [list(one) for one in said] == [["small"], ["left"], ["right"]]
    assert {name for name, *_ in seen[:2]} == {"left", "right"}
    assert len({thread for _, thread, *_ in seen}) == 2
    assert all((count, inference) == (1, True) for *_, count, inference in seen)
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize(
    ("work", "threads_given", "at_once"),
    [
        ((6, 5, 5, 1, 1), 2, 2),
        ((6, 5, 5, 1, 1), 16, 2),
        ((1, 1, 1, 1), 4, 4),
        ((9, 1), 2, 1),
        ((1, 1), 1, 1),
        ((0, 0), 2, 1),
    ],
)
def test_threads_are_shared_out_evenly_and_only_where_the_longest_call_ends_with_the_others(
    work, threads_given, at_once
):
    torch.set_num_threads(threads_given)
    found = []
    side_by_side([lambda: found.append(torch.get_num_threads()) or {} for _ in work], work)
    assert set(found) == {threads_given // at_once}


@pytest.mark.parametrize("failing", [0, 1])
def test_what_fails_is_raised_and_the_threads_are_as_before(failing):
    def fail():
        raise ValueError("no such thing")

    calls = [lambda: {} for _ in range(2)]
    calls[failing] = fail
    with pytest.raises(ValueError, match="no such thing"):
        side_by_side(calls, [1, 1])
    assert torch.get_num_threads() == 2


def seen_by_two():
    both, seen = Barrier(2, timeout=20), set()

    def call():
        seen.add(current_thread().name)
        both.wait()
        return {}

    side_by_side([call, call], [1, 1])
    return seen


def test_the_threads_stay():
    seen = set().union(*(seen_by_two() for _ in range(20)))
    assert 2 <= len(seen) <= 1 + os.cpu_count()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a system without fork")
def test_a_process_that_is_forked_has_threads_of_its_own():
    seen_by_two()
    child = os.fork()
    if not child:
        # Nothing of pytest may go on here.
        try:
            os._exit(0 if len(seen_by_two()) == 2 else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_what_others_have_the_threads_of_is_done_here(monkeypatch):
    busy, pool = Event(), ThreadPoolExecutor(1)
    monkeypatch.setattr("mmtsa_cli.models.side_by_side._helpers", lambda: pool)
    others = pool.submit(busy.wait)
    said = side_by_side([lambda number=number: {str(number): torch.ones(1)} for number in range(3)], [1, 1, 1])
    assert [list(one) for one in said] == [["0"], ["1"], ["2"]]
    assert not others.done()
    busy.set()
    pool.shutdown()
