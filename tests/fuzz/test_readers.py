"""Any bytes at all: a reader takes them, or says in one printable line what is wrong, in bounded memory."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz import limits
from tests.fuzz.readers import CASES, READERS, Reader, one_input

# A run is made by training, a store by sampling: seconds for each, for readers that the slow search covers.
QUICK = [name for name in READERS if name != "run"]
FOLLOWED = {
    "mat": "mmtsa_cli.recordings.matlab",
    "recipe": "yaml.scanner",
    "safetensors": "mmtsa_cli.training.checkpoint",
    "store": "mmtsa_cli.sampling.store",
    "table": "mmtsa_cli.stages.tables.units",
    "video": "mmtsa_cli.recordings.decoding",
}
EXAMPLES = {"store": 15, "table": 30, "video": 15, "telemetry": 15}


@st.composite
def spoilt(draw: st.DrawFn, contents: list[bytes]) -> bytes:
    """A sound content with some bytes changed, doubled or cut away; now and then any bytes."""
    data = bytearray(draw(st.sampled_from(contents)))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(data)))
        length = draw(st.sampled_from([0, 1, 2, 4, 8, 100]))
        data[at : at + length] = draw(st.binary(max_size=8)) * draw(st.sampled_from([0, 1, 1, 1, 200]))
    return bytes(data)


@pytest.mark.parametrize("name", QUICK)
def test_spoilt_files_are_taken_or_told(name: str) -> None:
    contents = READERS[name].seeds()
    first = 1 if name == "store" else 0

    @settings(
        max_examples=EXAMPLES.get(name, 40),
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(spoilt(contents) | st.binary(min_size=first, max_size=300))
    def look(data: bytes) -> None:
        one_input(name, data)

    look()


@pytest.mark.parametrize("name", QUICK)
def test_sound_files_are_taken(name: str) -> None:
    assert one_input(name, READERS[name].seeds()[0]) is True


def cases(name: str) -> list[Path]:
    return sorted((CASES / name).glob("*"))


@pytest.mark.parametrize("name", [name for name in QUICK if cases(name)])
def test_what_a_search_once_found(name: str) -> None:
    """In a process of its own: some of these ended it."""
    program = (
        "import sys, pathlib\nfrom tests.fuzz.readers import one_input\n"
        "for path in map(pathlib.Path, sys.argv[2:]):\n"
        "    print(path, flush=True)\n    one_input(sys.argv[1], path.read_bytes())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, name, *map(str, cases(name))], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, (done.stdout.splitlines()[-1:], done.stderr[-2000:])
    assert len(done.stdout.splitlines()) == len(cases(name))


def test_there_are_cases_and_every_reader_has_seeds() -> None:
    assert sum(len(cases(name)) for name in READERS) >= 30
    assert len(READERS) == 20
    assert {folder.name for folder in CASES.iterdir()} <= set(READERS)


def test_what_is_no_error_of_ours_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def reader(error: Exception) -> Reader:
        def read(path: Path) -> None:
            raise error

        return Reader(read, "x.csv", lambda: [b""])

    monkeypatch.setitem(READERS, "broken", reader(KeyError("x")))
    with pytest.raises(KeyError):
        one_input("broken", b"")


@pytest.mark.skipif(not Path("/proc/self/statm").is_file(), reason="memory is bounded by what /proc tells")
def test_memory_beyond_the_bound_would_be_seen() -> None:
    import numpy as np

    with pytest.raises(MemoryError), limits.bounded(100, 10):
        np.empty(2 * limits.SPARE_BYTES, np.uint8)


@pytest.mark.slow
@pytest.mark.parametrize("name", READERS)
def test_a_search_finds_nothing(name: str, tmp_path: Path) -> None:
    if importlib.util.find_spec("atheris") is None:
        pytest.skip("the search that follows what an input reaches needs atheris: pip install atheris")
    command = [sys.executable, "-m", "tests.fuzz.run", name, "--seconds", "30", "--output", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["executions"] > 0, found
    assert (found["defects"], found["ended"]) == ([], [])
    # What is imported unseen is searched blindly.
    assert f"Instrumenting {FOLLOWED.get(name, 'mmtsa_cli.errors')}\n" in (tmp_path / "log.txt").read_text()
