"""The layers of the package: which module may import which, read from the syntax trees."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import mmtsa_cli
from mmtsa_cli.cli import COMMANDS

ROOT = Path(mmtsa_cli.__file__).parent

LAYERS = {
    "errors": 0,
    "modalities": 0,
    "artifacts": 1,
    "recordings": 2,
    "sampling": 3,
    "imaging": 4,
    "evaluation": 4,
    "models": 5,
    "training": 6,
    "methods": 7,
    "reporting": 8,
    "stages": 9,
    "commands": 10,
    "cli": 11,
    "__main__": 12,
}

MAY_IMPORT = {
    "artifacts": {"artifacts"},
    "recordings": {"artifacts", "recordings"},
    "sampling": {"artifacts", "recordings", "sampling"},
    "imaging": {"artifacts", "imaging"},
    "evaluation": {"artifacts", "evaluation"},
    "models": {"artifacts", "imaging", "models"},
    "training": {"artifacts", "evaluation", "training"},
    "methods": {"artifacts", "sampling", "imaging", "models", "training", "evaluation", "methods"},
    "reporting": {"artifacts", "evaluation", "reporting"},
    "stages": {name for name, layer in LAYERS.items() if layer <= 9},
    "commands": {"stages", "commands"},
    "cli": {"commands"},
    "__main__": {"cli"},
}

NEVER = {
    "artifacts": {"torch", "click", "rich", "numpy"},
    "recordings": {"torch", "click", "rich"},
    "sampling": {"torch", "click", "rich"},
    "imaging": {"click", "rich"},
    "evaluation": {"torch", "click", "rich"},
    "models": {"click", "rich"},
    "training": {"click", "rich"},
    "methods": {"click", "rich"},
    "reporting": {"torch", "click", "rich"},
    "stages": {"click", "rich"},
    "commands": {"torch", "numpy"},
}


def modules():
    return sorted(ROOT.rglob("*.py"))


def place(path):
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imports(path):
    """Every module that a file imports, inside functions too, with its line."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            yield node.lineno, node.module
            if node.module == "mmtsa_cli":
                for alias in node.names:
                    yield node.lineno, f"mmtsa_cli.{alias.name}"


def broken_rules(path):
    here = place(path)
    for line, name in imports(path):
        top, _, rest = name.partition(".")
        if top != "mmtsa_cli":
            if top in NEVER.get(here, set()) or (here == "imaging" and top == "torch" and path.name != "layer.py"):
                yield f"{path.relative_to(ROOT)}:{line} imports {name}"
            continue
        other = rest.split(".")[0]
        if other in ("", "__version__", "errors", "modalities"):
            continue
        if other == "recipes":
            continue
        if other not in MAY_IMPORT.get(here, set()):
            yield f"{path.relative_to(ROOT)}:{line}: {here} (layer {LAYERS[here]}) imports {name}"


def test_no_module_breaks_the_dependency_rule():
    files = modules()
    assert len(files) > 40
    assert {place(path) for path in files} <= {*LAYERS, "__init__", "recipes"}
    assert [rule for path in files for rule in broken_rules(path)] == []


def test_a_broken_rule_would_be_seen(tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    bad = tmp_path / "recordings" / "bad.py"
    bad.parent.mkdir()
    bad.write_text("def f():\n    import torch\n    from mmtsa_cli.stages import train\n")
    assert list(broken_rules(bad)) == [
        "recordings/bad.py:2 imports torch",
        "recordings/bad.py:3: recordings (layer 2) imports mmtsa_cli.stages",
    ]


def test_no_module_is_called_utils_or_helpers():
    assert not [path for path in modules() if path.stem in ("utils", "util", "helpers", "helper", "common", "misc")]


@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_help_answers_without_torch(name):
    program = (
        "import sys\nfrom mmtsa_cli.cli import run\n"
        f"code = run({[name, '--help'] if name else ['--help']!r})\n"
        "heavy = {'torch', 'pandas', 'scipy', 'cv2', 'matplotlib', 'sklearn'} & set(sys.modules)\n"
        "assert not heavy, heavy\nsys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Usage: mmtsa" in done.stdout
    if name:
        assert "Examples:" in done.stdout


def test_a_system_without_a_network_starts_without_torch():
    program = (
        "import sys\nimport mmtsa_cli.stages.tables.unit_process\n"
        "from mmtsa_cli.methods.registry import class_of, entry_of\n"
        "for name in ('svm', 'decision-tree', 'svm-hog', 'part-svm', 'mfv', 'fvs', 'tfvs'):\n"
        "    class_of(entry_of(name))\n"
        "    assert 'torch' not in sys.modules, name\n"
        "class_of(entry_of('mmtsa'))\nassert 'torch' in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
