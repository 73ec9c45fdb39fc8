"""What a command works on where no data is named: synthetic recordings, made once in the user's cache."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mmtsa_cli import __version__
from mmtsa_cli.artifacts.cache import cache_directory
from mmtsa_cli.stages import sample, synth


def synthetic_samples(*, note: Callable[[str], None]) -> Path:
    """Return a sample store of synthetic recordings, making it where it is not there yet.

    Parameters
    ----------
    note : callable
        Told in one line what is used.
    """
    cache = cache_directory() / f"synthetic-{__version__}"
    note(f"no data named: using synthetic recordings in {cache}")
    synth.run(cache / "rec")
    return sample.run(cache / "rec", cache / "samples").output
