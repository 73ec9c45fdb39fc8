"""Files of weights: local ones, downloaded ones, damaged ones."""

from __future__ import annotations

import functools
import hashlib
import http.server
import threading

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from mmtsa_cli.errors import DataError, UsageError
from mmtsa_cli.models.weights import load_tensors, place_tensors

TENSORS = {"weight": torch.arange(6.0).reshape(2, 3), "bias": torch.ones(2)}


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        """Say nothing."""


@pytest.fixture
def served(tmp_path):
    """A folder, and the address under which it is served."""
    folder = tmp_path / "served"
    folder.mkdir()
    handler = functools.partial(QuietHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield folder, f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda name: str(tmp_path / "cache" / name))
    return tmp_path / "cache" / "mmtsa" / "weights"


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write(path):
    torch.save(TENSORS, path) if path.suffix == ".pth" else save_file(TENSORS, path)
    return path


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
def test_reads_local_files(tmp_path, name):
    path = write(tmp_path / name)
    loaded = load_tensors(str(path), sha256=sha256(path).upper())
    assert loaded.keys() == TENSORS.keys()
    assert all(torch.equal(loaded[key], TENSORS[key]) for key in TENSORS)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"w.pth: no such file"):
        load_tensors(str(tmp_path / "w.pth"))


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
@pytest.mark.parametrize("content", [b"", b"no weights at all", b"cut"])
def test_damaged_file_is_named(tmp_path, name, content):
    path = write(tmp_path / name)
    path.write_bytes(path.read_bytes()[:100] if content == b"cut" else content)
    with pytest.raises(DataError, match=rf"{name}: cannot be read as weights, found .+"):
        load_tensors(str(path))


def test_file_that_would_run_code_is_refused(tmp_path):
    torch.save(nn.Linear(2, 2), tmp_path / "w.pth")
    with pytest.raises(DataError, match="cannot be read as weights"):
        load_tensors(str(tmp_path / "w.pth"))


def test_file_of_something_else_is_refused(tmp_path):
    torch.save({"epoch": 3}, tmp_path / "w.pth")
    with pytest.raises(DataError, match="holds no plain weights"):
        load_tensors(str(tmp_path / "w.pth"))


def test_other_suffixes_are_refused():
    with pytest.raises(UsageError, match=r"w.npz: not a file of weights, expected .pth or .pt or .safetensors"):
        load_tensors("w.npz")


def test_local_file_of_another_hash_is_refused_and_kept(tmp_path):
    path = write(tmp_path / "w.pth")
    with pytest.raises(DataError, match="another SHA-256 than stated"):
        load_tensors(str(path), sha256="0" * 64)
    assert path.is_file()


def test_downloads_once(served, cache):
    folder, address = served
    path = write(folder / "w.safetensors")
    digest = sha256(path)
    first = load_tensors(f"{address}/w.safetensors", sha256=digest)
    path.unlink()
    second = load_tensors(f"{address}/w.safetensors", sha256=digest)
    assert torch.equal(first["weight"], TENSORS["weight"])
    assert torch.equal(second["weight"], TENSORS["weight"])
    assert [file.name for file in cache.iterdir()] == [f"{digest}.safetensors"]


def test_damaged_cache_is_downloaded_again(served, cache):
    folder, address = served
    digest = sha256(write(folder / "w.pth"))
    load_tensors(f"{address}/w.pth", sha256=digest)
    (cache / f"{digest}.pth").write_bytes(b"damaged")
    assert torch.equal(load_tensors(f"{address}/w.pth", sha256=digest)["bias"], TENSORS["bias"])


def test_download_of_another_hash_is_removed(served, cache):
    folder, address = served
    write(folder / "w.pth")
    with pytest.raises(DataError, match=rf"{address}/w.pth: another SHA-256 than stated, expected 0000.*was removed"):
        load_tensors(f"{address}/w.pth", sha256="0" * 64)
    assert list(cache.iterdir()) == []


def test_url_without_hash_is_refused(cache):
    with pytest.raises(UsageError, match="a URL needs the SHA-256"):
        load_tensors("https://example.org/w.pth")
    assert not cache.exists()


def test_what_cannot_be_downloaded_says_that_a_local_path_works(served, cache):
    _, address = served
    with pytest.raises(DataError, match=rf"{address}/none.pth: cannot be downloaded.*give its local path"):
        load_tensors(f"{address}/none.pth", sha256="0" * 64)
    with pytest.raises(DataError, match=r"http://127.0.0.1:9/w.pth: cannot be downloaded.*give its local path"):
        load_tensors("http://127.0.0.1:9/w.pth", sha256="0" * 64)
    assert list(cache.iterdir()) == []


def test_places_every_tensor():
    module = nn.Linear(3, 2)
    place_tensors(module, TENSORS, source="w.pth")
    assert torch.equal(module.weight, TENSORS["weight"])


def test_places_normalisations_of_the_first_port():
    norm = nn.BatchNorm2d(2)
    names = ("weight", "bias", "running_mean", "running_var")
    place_tensors(norm, {name: torch.tensor([[3.0, 4.0]]) for name in names}, source="w.pth")
    assert norm.running_var.tolist() == [3.0, 4.0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weight": torch.zeros(2, 4)}, r"w.pth: tensor weight has another shape, expected \(2, 3\), found \(2, 4\)"),
        ({"bias": None}, "w.pth: no tensor bias"),
        ({"extra": torch.zeros(1)}, "w.pth: tensor extra has no place"),
    ],
)
def test_wrong_tensors_are_named_and_nothing_is_placed(change, message):
    module = nn.Linear(3, 2)
    before = module.weight.clone()
    tensors = {name: tensor for name, tensor in {**TENSORS, **change}.items() if tensor is not None}
    with pytest.raises(DataError, match=message):
        place_tensors(module, tensors, source="w.pth")
    assert torch.equal(module.weight, before)
