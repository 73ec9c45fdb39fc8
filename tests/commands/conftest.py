"""Places elsewhere, for the tests of commands that read and write there."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.trees.servers import S3_ENVIRONMENT, s3_server, web_server


@pytest.fixture(scope="session")
def ten(synthetic: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten synthetic recordings, their files below the index."""
    rec = tmp_path_factory.mktemp("ten") / "rec"
    rec.mkdir()
    shutil.copy(synthetic / "dataset.yaml", rec)
    header, *rows = (synthetic / "index.csv").read_text().splitlines()
    chosen = rows[::12][:10]
    for cell in (cell for row in chosen for cell in row.split(",") if (synthetic / cell).is_file()):
        (rec / cell).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(synthetic / cell, rec / cell)
    (rec / "index.csv").write_text("\n".join([header, *chosen]) + "\n")
    return rec


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """An S3 server with the bucket `data`; the environment says where it is and who we are."""
    pytest.importorskip("moto.server", reason="moto[server] is not installed")
    pytest.importorskip("s3fs", reason="s3fs is not installed")
    with s3_server() as address, pytest.MonkeyPatch.context() as patch:
        for name, value in {**S3_ENVIRONMENT, "AWS_ENDPOINT_URL": address}.items():
            patch.setenv(name, value)
        import s3fs

        s3fs.S3FileSystem.clear_instance_cache()
        s3fs.S3FileSystem().mkdir("data")
        yield "s3://data"
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.fixture
def memory() -> Iterator[str]:
    fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed")
    yield "memory://data"
    files = fsspec.filesystem("memory")
    if files.exists("/data"):
        files.rm("/data", recursive=True)


@pytest.fixture(params=["memory", "s3"])
def elsewhere(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A place of the test's own that files can be put to."""
    return f"{request.getfixturevalue(request.param)}/{tmp_path.name}"


@pytest.fixture
def web(ten: Path) -> Iterator[str]:
    pytest.importorskip("aiohttp", reason="aiohttp is not installed")
    with web_server(ten.parent) as address:
        yield address
