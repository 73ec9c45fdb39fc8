"""Networks side by side: the same answers, several at a time, and the threads as they were before."""

from __future__ import annotations

from threading import Barrier, get_ident

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
