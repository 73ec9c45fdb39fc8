"""Where this package keeps what it can make anew: the user's cache directory, or the one that MMTSA_CACHE names."""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import user_cache_path


def cache_directory() -> Path:
    """Return the directory; it need not exist yet."""
    named = os.environ.get("MMTSA_CACHE")
    return Path(named) if named else user_cache_path("mmtsa")
