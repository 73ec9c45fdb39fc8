"""Search for input that a reader does not survive: `python -m tests.fuzz.run READER --seconds N --output DIR`.

Atheris (`pip install atheris`) follows which lines an input reaches and goes on from those that reach new ones. Each
defect is kept once, by what was raised and where, as `DIR/crashes/`; a process that dies or hangs is begun again. The
last line on stdout is a JSON object: reader, seconds, executions, defects.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import os
import re
import subprocess
import sys
import time
import traceback
from pathlib import Path
from types import TracebackType

_FOLLOWED = ["mmtsa_cli", "yaml", "numpy.lib", "zipfile", "tarfile"]
_SLOWEST_S = 10
_LARGEST_MB = 6000
_LONGEST = 1 << 15


def main() -> int:
    """Search for the time that was given, and say what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("reader")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--beginnings", type=Path, help="a folder of files, of which the first 16 KB are seeds too")
    parser.add_argument("--once", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if importlib.util.find_spec("atheris") is None:
        print("atheris is not installed: pip install atheris", file=sys.stderr)  # noqa: T201
        return 2
    if asked.once:
        return _search(asked.reader, asked.output, asked.seconds)
    begun = time.monotonic()
    for name in ("corpus", "crashes", "ended"):
        (asked.output / name).mkdir(parents=True, exist_ok=True)
    _write_seeds(asked.reader, asked.output / "corpus", asked.beginnings)
    while (left := asked.seconds - (time.monotonic() - begun)) > 1:
        command = [sys.executable, "-m", "tests.fuzz.run", asked.reader, "--once", "--output", str(asked.output)]
        with (asked.output / "log.txt").open("ab") as log:
            subprocess.run([*command, "--seconds", str(int(left))], stdout=log, stderr=log, check=False)
    counted = asked.output / "executions"
    print(  # noqa: T201
        json.dumps(
            {
                "reader": asked.reader,
                "seconds": round(time.monotonic() - begun),
                "executions": len(counted.read_bytes()) * 100 if counted.is_file() else 0,
                "defects": sorted(path.name for path in (asked.output / "crashes").glob("*.txt")),
                "ended": sorted(path.name for path in (asked.output / "ended").iterdir()),
            }
        )
    )
    return 0


def _write_seeds(reader: str, corpus: Path, beginnings: Path | None) -> None:
    from tests.fuzz.readers import CASES, READERS

    real = sorted(path for path in beginnings.rglob("*") if path.is_file()) if beginnings else []
    cases = [path.read_bytes() for path in sorted((CASES / reader).glob("*"))]
    for data in [*READERS[reader].seeds(), *cases, *(path.open("rb").read(1 << 14) for path in real)]:
        (corpus / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)


def _search(reader: str, output: Path, seconds: int) -> int:
    import atheris

    with atheris.instrument_imports(include=_FOLLOWED):
        from tests.fuzz.readers import READERS, one_input

        # Readers import what they read with when they are called: here, or nothing of it would be followed.
        one_input(reader, READERS[reader].seeds()[0])
    seen = {path.stem for path in (output / "crashes").glob("*.txt")}
    count = os.open(output / "executions", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    executions = 0

    def attempt(data: bytes) -> None:
        nonlocal executions
        executions += 1
        if executions % 100 == 0:
            os.write(count, b".")
        try:
            one_input(reader, data)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is what is searched for
            _keep(error, data, output / "crashes", seen)

    limits = [f"-max_total_time={seconds}", f"-timeout={_SLOWEST_S}", f"-rss_limit_mb={_LARGEST_MB}"]
    longest = max(_LONGEST, *(path.stat().st_size for path in (output / "corpus").iterdir()))
    limits += [f"-artifact_prefix={output / 'ended'}/", f"-max_len={longest}"]
    atheris.Setup([sys.argv[0], *limits, str(output / "corpus")], attempt)
    atheris.Fuzz()
    return 0


def _keep(error: BaseException, data: bytes, crashes: Path, seen: set[str]) -> None:
    """Keep an input, and the shortest where several come to one defect."""
    name = _name(error)
    file = crashes / name
    if name in seen and file.stat().st_size <= len(data):
        return
    seen.add(name)
    file.write_bytes(data)
    file.with_suffix(".txt").write_text("".join(traceback.format_exception(error)), encoding="utf-8", errors="replace")


def _name(error: BaseException) -> str:
    """Return the kind of an error and the last line of ours that it came through."""
    place, step = "nowhere", error.__traceback__
    while isinstance(step, TracebackType):
        file = step.tb_frame.f_code.co_filename
        if "mmtsa_cli" in file:
            place = f"{Path(file).stem}-{step.tb_lineno}"
        step = step.tb_next
    return re.sub(r"\W", "-", f"{type(error).__name__}-{place}")


if __name__ == "__main__":
    sys.exit(main())
