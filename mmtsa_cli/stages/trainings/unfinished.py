"""The directory of a training that is under way or was interrupted, beside its final name."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mmtsa_cli.artifacts.claims import claim, release, release_far
from mmtsa_cli.artifacts.directory import check_room, check_same_work, finish, partial_path
from mmtsa_cli.artifacts.manifest import Manifest, write_manifest
from mmtsa_cli.artifacts.unchanged import ChangedError
from mmtsa_cli.errors import ArtifactError, UsageError
from mmtsa_cli.stages.stopping import Asked
from mmtsa_cli.training.launched import rendezvous, restarts

_GROUP = ".group"


def open_partial(output: Path, manifest: Manifest, *, resume: bool, overwrite: bool) -> Path:
    """Return the directory to train in: a new one, or the one of a training that was interrupted.

    A process that torchrun starts again for one that died goes on with it, asked to or not.

    Raises
    ------
    UsageError
        An unfinished training is there, and nothing is said of it, or it has other settings.
    ArtifactError
        Another living process writes it, or the place cannot be written.
    """
    output = output.absolute()
    partial = partial_path(output)
    resume = resume or restarts() > 0
    check_room(output)
    if partial.is_dir() and not resume and not overwrite and has_checkpoint(partial):
        raise UsageError(
            "an unfinished training is there",
            where=str(partial),
            remedy="add --resume to go on with it, or --overwrite to begin anew",
        )
    if partial.is_dir():
        _bury(partial)
        claim(partial)
        if resume and (partial / "manifest.json").is_file():
            check_same_work(partial, manifest, what="training")
            _sign(partial)
            return partial
        shutil.rmtree(partial)
    try:
        partial.mkdir(parents=True)
        claim(partial)
        write_manifest(partial, manifest)
        _sign(partial)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        remedy = "nothing was kept; free some space or name another place"
        raise ArtifactError(f"cannot be written: {error.strerror}", where=str(output), remedy=remedy) from None
    return partial


def finish_partial(partial: Path, output: Path, manifest: Manifest) -> None:
    """Give a training that is over its final name."""
    (partial / _GROUP).unlink(missing_ok=True)
    finish(partial, output, manifest)


def _sign(partial: Path) -> None:
    """Note by the name of which rendezvous the processes that train here have met."""
    if rendezvous():
        (partial / _GROUP).write_text(rendezvous(), encoding="utf-8")


def _bury(partial: Path) -> None:
    """Give up the claim of a process of another machine that was of this very rendezvous: torchrun knows it is dead."""
    signed = partial / _GROUP
    if rendezvous() and signed.is_file() and signed.read_text(encoding="utf-8") == rendezvous():
        release_far(partial)


def has_checkpoint(partial: Path) -> bool:
    """Whether there is anything to go on from."""
    return any(partial.glob("folds/**/last.safetensors"))


@contextmanager
def kept_for_resume(partial: Path, asked: Asked) -> Iterator[None]:
    """Leave an interrupted training as it is, for `--resume`, and say so; leave nothing where nothing was trained.

    Of several processes the first one alone does so.
    """
    from mmtsa_cli.training.group import is_first
    from mmtsa_cli.training.run import TrainingStoppedError

    try:
        yield
    except TrainingStoppedError as stopped:
        error = TrainingStoppedError(stopped.what, remedy=f"{partial} is kept, add --resume to go on")
        error.exit_code = 128 + (asked.signal or signal.SIGINT)
        raise error from None
    except ChangedError:
        # Its checkpoints are of the old samples and of the new.
        if is_first():
            shutil.rmtree(partial, ignore_errors=True)
        raise
    except OSError as fault:
        kept = "the last whole checkpoint is kept: free some space and add --resume to go on"
        nothing = "nothing was kept; free some space or name another place"
        raise ArtifactError(
            f"cannot be written: {fault.strerror or fault}",
            where=str(fault.filename or partial),
            remedy=kept if has_checkpoint(partial) else nothing,
        ) from fault
    finally:
        if not is_first():
            pass
        elif has_checkpoint(partial):
            release(partial)
        else:
            shutil.rmtree(partial, ignore_errors=True)
