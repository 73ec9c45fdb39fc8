"""One process of a training in several: `python -m mmtsa_cli.stages.trainings.process JOB`, started by torchrun.

What it has to say goes to stdout, one JSON value a line after a mark, to the process that started torchrun. Exit code
0: the training is over; otherwise torchrun starts all of them again, unless what was said makes that process stop it.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import traceback
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mmtsa_cli.errors import ManyErrors, MmtsaError
from mmtsa_cli.training.launched import number, restarts

MARK = "mmtsa:"
"""What a line begins with that is meant for the process that started torchrun."""


def main(job_file: Path) -> int:
    """Train as a file says and return the exit code."""
    threading.Thread(target=_end_with_the_other_side, daemon=True).start()
    first = number() == 0
    if first:
        _tell("started", restarts())
    # Only now, as it takes seconds.
    from mmtsa_cli.training.group import LostProcessError
    from mmtsa_cli.training.run import TrainingStoppedError

    try:
        _run(json.loads(job_file.read_text(encoding="utf-8")), first)
    except KeyboardInterrupt:
        return 130
    except TrainingStoppedError as error:
        if first:
            _tell("stopped", error.what)
        return error.exit_code
    except LostProcessError as error:
        return _failed(error.line())
    except MmtsaError as error:
        errors = error.errors if isinstance(error, ManyErrors) else (error,)
        _tell("fault", {"lines": [one.line() for one in errors], "exit_code": error.exit_code})
        return error.exit_code
    except Exception as error:  # noqa: BLE001 - the boundary: the next attempt may do better
        _tell("bug", f"{type(error).__name__}: {error}")
        traceback.print_exc()
        return 1
    return 0


def _run(job: dict[str, Any], first: bool) -> None:
    from mmtsa_cli.artifacts.remote import place_of
    from mmtsa_cli.stages import train

    samples, output = place_of(job.pop("samples")), place_of(job.pop("output"))
    result = train.run(
        samples,
        output,
        **job,
        listen=lambda event: _tell("event", asdict(event)),
        warn=lambda text: _tell("warning", text),
    )
    if first:
        _tell("result", {"fresh": result.fresh, "facts": result.facts})


def _failed(text: str) -> int:
    sys.stderr.write(f"{text}\n")
    return 1


def _tell(what: str, value: Any) -> None:
    # At once and in one piece: several processes write to one pipe.
    os.write(sys.stdout.fileno(), f"\n{MARK}{json.dumps([what, value])}\n".encode())


def _end_with_the_other_side() -> None:
    """Wait for the end of the pipe, whose other side is held by whoever asked for the training, and end with it."""
    while os.read(sys.stdin.fileno(), 1):
        pass
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
