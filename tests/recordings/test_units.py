"""Units: factors, and which unit values are in that are too large or too small."""

import math

import pytest

from mmtsa_cli.recordings.units import conversion, mistaken_for, quantity_of


@pytest.mark.parametrize(
    ("unit", "wanted", "factor"),
    [
        ("g", "m/s^2", 9.80665),
        ("m/s^2", "g", 1 / 9.80665),
        ("deg/s", "rad/s", math.pi / 180),
        ("mg", "g", 0.001),
        ("M/S²", "m/s^2", 1.0),
        ("counts", "counts", 1.0),
        (None, "", 1.0),
        ("g", "rad/s", None),
        ("counts", "g", None),
        (None, "g", None),
    ],
)
def test_a_unit_is_converted_where_there_is_a_factor(unit, wanted, factor):
    assert conversion(unit, wanted) == (None if factor is None else pytest.approx(factor))


@pytest.mark.parametrize(
    ("unit", "ratio", "rival"),
    [
        ("m/s^2", 0.1, "g"),
        ("m/s^2", 0.9, None),
        ("m/s^2", 9.0, None),
        ("g", 9.5, "m/s^2"),
        ("rad/s", 40, "deg/s"),
        ("rad/s", 4, None),
        ("deg/s", 0.02, "rad/s"),
        ("deg", 0.02, "rad"),
        ("counts", 100, None),
        (None, 0.1, None),
        ("g", 0.0, None),
        ("g", math.inf, None),
    ],
)
def test_what_is_nearer_to_the_factor_of_another_unit_is_probably_in_it(unit, ratio, rival):
    assert mistaken_for(unit, ratio) == rival


def test_what_a_unit_measures():
    assert [quantity_of(unit) for unit in ("g", "dps", "°", "counts")] == ["acceleration", "rotation", "angle", None]
