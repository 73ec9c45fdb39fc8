"""Weights from files and URLs; a download is checked against its SHA-256 and kept in the user's cache."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

import torch
from torch import Tensor, nn

from mmtsa_cli.errors import DataError, MmtsaError, UsageError

_TIMEOUT_S = 30
_SUFFIXES = (".pth", ".pt", ".safetensors")


def load_tensors(source: str, *, sha256: str | None = None) -> dict[str, Tensor]:
    """Return the named tensors of a file of weights. Nothing but tensors is constructed.

    Parameters
    ----------
    source : str
        Path or http(s) URL of a `.pth` (or `.pt`) or `.safetensors` file.
    sha256 : str, optional
        What the file must hash to; needed for a URL.

    Raises
    ------
    UsageError
        A URL without a hash, or a file of another kind.
    DataError
        The file is missing, damaged, another one than the hash says, or cannot be downloaded.
    """
    is_url = urlsplit(source).scheme in ("http", "https")
    suffix = Path(urlsplit(source).path if is_url else source).suffix.lower()
    if suffix not in _SUFFIXES:
        found = suffix or "no suffix"
        raise UsageError("not a file of weights", where=source, expected=" or ".join(_SUFFIXES), found=found)
    if is_url:
        return _read(_fetched(source, sha256, suffix), suffix, source)
    path = Path(source)
    if not path.is_file():
        raise DataError("no such file of weights", where=source)
    if sha256 and _hash(path) != sha256.lower():
        raise _mismatch(source, sha256, _hash(path), remedy="it is another file than it should be, or a damaged one")
    return _read(path, suffix, source)


def place_tensors(module: nn.Module, tensors: Mapping[str, Tensor], *, source: str) -> None:
    """Put named tensors into a module, all of them into all of it.

    Two habits of old files are accepted: no count of the batches that a normalisation has seen, and a leading
    dimension of 1 before its parameters (the first Caffe port).

    Raises
    ------
    DataError
        A tensor is missing, of another shape, or has no place; the first one is named.
    """
    state = module.state_dict()
    placed = {name: _squeezed(tensors[name], want) for name, want in state.items() if name in tensors}
    missing = [name for name in state if name not in tensors and not name.endswith("num_batches_tracked")]
    misshapen = [name for name, tensor in placed.items() if tensor.shape != state[name].shape]
    surplus = [name for name in tensors if name not in state]
    if misshapen:
        name = misshapen[0]
        expected, found = tuple(state[name].shape), tuple(tensors[name].shape)
        raise _other_network(f"tensor {name} has another shape", misshapen, source, str(expected), str(found))
    if missing:
        raise _other_network(f"no tensor {missing[0]}", missing, source)
    if surplus:
        raise _other_network(f"tensor {surplus[0]} has no place in the network", surplus, source)
    module.load_state_dict(placed, strict=False)


def _other_network(
    what: str, names: list[str], source: str, expected: str | None = None, found: str | None = None
) -> DataError:
    others = f" (and {len(names) - 1} others like it)" if len(names) > 1 else ""
    remedy = "the weights are of another network: check backbone and width"
    return DataError(what + others, where=source, expected=expected, found=found, remedy=remedy)


def _squeezed(tensor: Tensor, want: Tensor) -> Tensor:
    return tensor[0] if tensor.shape == (1, *want.shape) else tensor


def _read(path: Path, suffix: str, source: str) -> dict[str, Tensor]:
    try:
        found: Any = _read_safetensors(path) if suffix == ".safetensors" else _read_torch(path)
    # A damaged file fails in as many ways as its reader has parts.
    except Exception as error:  # noqa: BLE001
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError("cannot be read as weights", where=source, found=reason) from None
    if not isinstance(found, Mapping) or not all(isinstance(value, Tensor) for value in found.values()):
        expected = "named tensors (the state_dict of a module)"
        raise DataError("holds no plain weights", where=source, expected=expected, found=type(found).__name__)
    return dict(found)


def _read_safetensors(path: Path) -> Any:
    from safetensors.torch import load_file

    return load_file(path)


def _read_torch(path: Path) -> Any:
    return torch.load(path, map_location="cpu", weights_only=True)


def _fetched(url: str, sha256: str | None, suffix: str) -> Path:
    """Return the cached file of a URL, downloaded where it is not there or not what it should be."""
    import platformdirs

    if not sha256:
        remedy = "give the hash that its publisher states, or download it and name the local path"
        raise UsageError("a URL needs the SHA-256 of its file", where=f"model.weights {url}", remedy=remedy)
    sha256 = sha256.lower()
    path = Path(platformdirs.user_cache_dir("mmtsa")) / "weights" / f"{sha256}{suffix}"
    if path.is_file() and _hash(path) == sha256:
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".partial", delete=False) as stream:
        partial = Path(stream.name)
        try:
            _download(url, stream.file)
            found = _hash(partial)
            if found != sha256:
                raise _mismatch(url, sha256, found, remedy="the download was removed; check the hash and the address")
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    return path


def _download(url: str, stream: IO[bytes]) -> None:
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as answer:
            shutil.copyfileobj(answer, stream)
        stream.flush()
    except OSError as error:
        reason = getattr(error, "reason", None) or error
        remedy = "download it elsewhere and give its local path as weights"
        raise DataError("cannot be downloaded", where=url, found=str(reason), remedy=remedy) from None


def _mismatch(where: str, expected: str, found: str, *, remedy: str) -> MmtsaError:
    return DataError("another SHA-256 than stated", where=where, expected=expected, found=found, remedy=remedy)


def _hash(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        for block in iter(lambda: stream.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()
