"""A recipe's faults are all named at once, each with its line."""

from dataclasses import dataclass, field
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmtsa_cli.artifacts.options import Source, option, override, read_yaml, to_mapping, to_options
from mmtsa_cli.errors import ManyErrors, UsageError


@dataclass(frozen=True)
class Inner:
    lr: float = option(0.1, "rate", above=0)
    steps: tuple[int, ...] = option((1, 2), "steps", low=1)
    kind: Literal["a", "b"] = option("a", "kind")


@dataclass(frozen=True)
class Outer:
    epochs: int = option(3, "epochs", low=1, high=10)
    name: str | None = option(None, "name")
    flag: bool = option(False, "flag")
    training: Inner = field(default_factory=Inner)


def parse(tmp_path, text, settings=()):
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    return to_options(Outer, override(read_yaml(path), settings))


def test_what_is_not_said_keeps_its_default(tmp_path):
    assert parse(tmp_path, "training: {lr: 1e-3}\n") == Outer(training=Inner(lr=0.001))
    assert parse(tmp_path, "") == Outer()


def test_every_fault_is_named_with_its_line_and_the_nearest_key(tmp_path):
    text = "epochz: 3\nflag: maybe\ntraining:\n  lr: -1\n  kind: c\n  steps: [0]\nepochs: 11\n"
    with pytest.raises(ManyErrors) as caught:
        parse(tmp_path, text)
    lines = [error.line() for error in caught.value.errors]
    assert caught.value.exit_code == 2
    assert len(lines) == 6
    assert "line 1: unknown key epochz" in lines[0]
    assert "did you mean epochs?" in lines[0]
    assert "line 2: flag is wrong, expected true or false, found 'maybe'" in lines[1]
    assert "line 4: training.lr is wrong, expected a number above 0, found -1" in lines[2]
    assert "line 5: training.kind is wrong, expected one of a, b, found 'c'" in lines[3]
    assert "line 6: training.steps is wrong, expected a number of at least 1" in lines[4]
    assert "line 7: epochs is wrong, expected a number of at least 1 and at most 10, found 11" in lines[5]


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        ("epochs: [1", "not YAML"),
        ("- 1\n", "not a mapping"),
        ("epochs: 1\nepochs: 2\n", "line 2: epochs stands twice"),
        ("name: !!python/object/apply:os.system ['true']\n", "not YAML"),
    ],
)
def test_what_is_no_recipe_is_refused(tmp_path, text, phrase):
    with pytest.raises(UsageError, match=phrase):
        parse(tmp_path, text)


def test_a_setting_overrides_the_file_and_is_named_when_wrong(tmp_path):
    assert parse(tmp_path, "training: {lr: 1}", ["training.lr=0.01", "name=x"]) == Outer(name="x", training=Inner(0.01))
    with pytest.raises(ManyErrors, match=r"--set training.lr=fast: training.lr is wrong, expected a number"):
        parse(tmp_path, "", ["training.lr=fast"])
    with pytest.raises(UsageError, match="expected KEY=VALUE"):
        parse(tmp_path, "", ["training.lr"])


def test_missing_and_binary_files(tmp_path):
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        read_yaml(tmp_path / "none.yaml")
    (tmp_path / "b.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="not a text file"):
        read_yaml(tmp_path / "b.yaml")


@given(
    st.builds(
        Outer,
        epochs=st.integers(1, 10),
        name=st.none()
        | st.text(st.characters(categories=["L"]), min_size=1).filter(lambda t: t.lower() not in ("null", "yes", "no")),
        flag=st.booleans(),
        training=st.builds(
            Inner, lr=st.floats(1e-6, 1e6), steps=st.lists(st.integers(1, 99)).map(tuple), kind=st.sampled_from("ab")
        ),
    )
)
def test_options_survive_the_round_trip_through_plain_values(options):
    assert to_options(Outer, Source("x", to_mapping(options), {})) == options


def test_a_section_said_in_part_keeps_the_defaults_of_the_whole_it_stands_in():
    @dataclass(frozen=True)
    class Inner:
        rate: float = option(0.1, "rate")
        steps: int = option(3, "steps", low=1)

    @dataclass(frozen=True)
    class Outer:
        inner: Inner = field(default_factory=lambda: Inner(rate=0.5, steps=7))

    globals().update(Inner=Inner, Outer=Outer)
    assert to_options(Outer, Source("x", {"inner": {"steps": 9}}, {})).inner == Inner(rate=0.5, steps=9)
    assert to_options(Outer, Source("x", {"inner": None}, {})).inner == Inner(rate=0.5, steps=7)
    assert to_options(Outer, Source("x", {}, {})).inner == Inner(rate=0.5, steps=7)
