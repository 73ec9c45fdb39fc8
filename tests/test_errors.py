"""The line of an error is fit for a terminal, whatever stands in the files that it speaks of."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from mmtsa_cli.errors import DataError, did_you_mean


@settings(derandomize=True, deadline=None)
@given(st.text(), st.text(), st.text())
def test_it_is_one_line_of_printable_characters(what: str, where: str, found: str) -> None:
    line = DataError(what, where=where, found=found, remedy="mend it").line()
    assert line.isprintable()
    line.encode("utf-8")


def test_control_characters_are_shown_and_long_names_cut() -> None:
    line = DataError("no column", found="a\x1b[2J\ud800, b" + "x" * 10_000).line()
    assert line.startswith(r"no column, found a\x1b[2J\ud800, bxxx")
    assert line.endswith("xxx...")
    assert len(line) < 4100


def test_the_nearest_of_names_that_are_none() -> None:
    assert did_you_mean(3, [1, "three", 99]) == "choose from 1, 99, three"
