"""The wheel: what is in it, and that it works in an environment of its own, away from the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from mmtsa_cli import __version__
from mmtsa_cli.stages.recipe import packaged

ROOT = Path(__file__).resolve().parents[1]
RECIPES = sorted(path.stem for path in (ROOT / "recipes").glob("*.yaml"))

pytestmark = pytest.mark.slow


def done(*command: object, cwd: Path) -> str:
    # The environment's own settings would let the checkout shine through.
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "PIP_", "MMTSA"))}
    result = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, f"{command}:\n{result.stdout}\n{result.stderr}"
    return result.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the files that git knows, so that nothing else can slip in or stand in."""
    directory = tmp_path_factory.mktemp("wheel")
    source = directory / "source"
    names = done("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=ROOT).split("\0")
    for name in names:
        if name and (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    options = ("--no-deps", "--no-build-isolation", "--quiet", "--disable-pip-version-check")
    done(sys.executable, "-m", "pip", "wheel", *options, "--wheel-dir", directory, source, cwd=directory)
    (built,) = directory.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of a fresh environment with the wheel in it; the other packages are those of this one."""
    directory = tmp_path_factory.mktemp("installed")
    done(sys.executable, "-m", "venv", directory / "venv", cwd=directory)
    programs = directory / "venv" / ("Scripts" if os.name == "nt" else "bin")
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = Path(done(programs / "python", "-c", where, cwd=directory).strip())
    # Paths alone: the .pth file of the editable install, which stands there too, is not followed from here.
    here = dict.fromkeys(sysconfig.get_path(name) for name in ("purelib", "platlib"))
    (site / "others.pth").write_text("\n".join(here) + "\n")
    options = ("--no-deps", "--no-index", "--force-reinstall", "--quiet", "--disable-pip-version-check")
    done(programs / "python", "-m", "pip", "install", *options, wheel, cwd=directory)
    return programs


def test_the_wheel_holds_the_package_and_its_recipes_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    folders = {name.split("/")[0] for name in names}
    assert folders == {"mmtsa_cli", f"mmtsa-{__version__}.dist-info"}
    assert {"mmtsa_cli/recipes/demo.sh", "mmtsa_cli/recipes/__init__.py"} <= set(names)
    assert {name for name in names if name.endswith(".yaml")} == {f"mmtsa_cli/recipes/{name}.yaml" for name in RECIPES}
    kinds = {Path(name).suffix for name in names if name.startswith("mmtsa_cli/")}
    assert kinds == {".py", ".yaml", ".sh", ".j2", ".css", ".js"}
    assert not [name for name in names if "test" in Path(name).name.lower()]
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "mmtsa_cli").rglob("*.py")}
    assert modules <= set(names), modules - set(names)


def test_the_installed_program_answers_from_anywhere(installed: Path, tmp_path: Path) -> None:
    place = done(installed / "python", "-c", "import mmtsa_cli; print(mmtsa_cli.__file__)", cwd=tmp_path)
    assert Path(place.strip()).is_relative_to(installed.parent)
    assert __version__ in done(installed / "mmtsa", "--version", cwd=tmp_path)
    text = done(installed / "mmtsa", "--help", cwd=tmp_path)
    assert "mmtsa synth -o rec" in text


def test_recipes_are_found_by_their_names(installed: Path, tmp_path: Path) -> None:
    assert {"paper", "synthetic", "utd-mhad"} <= set(RECIPES)
    for name in packaged():
        shown = done(installed / "mmtsa", "train", "--recipe", name, "--show-recipe", cwd=tmp_path)
        assert "training:" in shown
    assert list(tmp_path.iterdir()) == []


def test_the_installed_package_does_work(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "imu.csv").write_text("time,x,y,z\n" + "".join(f"{i / 50},{i},{i * i},{-i}\n" for i in range(50)))
    done(installed / "mmtsa", "imagify", "imu.csv", "-o", "gaf.png", cwd=tmp_path)
    assert (tmp_path / "gaf.png").read_bytes().startswith(b"\x89PNG")
