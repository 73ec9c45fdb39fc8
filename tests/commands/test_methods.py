"""`mmtsa methods`: the table of systems, without what it does not need; on samples, what they would cost."""

import json
import subprocess
import sys

import pytest

from mmtsa_cli.methods.registry import ENTRIES, modalities_of
from mmtsa_cli.stages import methods as stage

THEIRS = """
from mmtsa_cli.methods.registry import Entry
ENTRY = Entry("theirs", "their_systems:Theirs", "sensors", "Nobody, 2026", "a system of another package")
"""


def run_apart(path, *, before="", arguments=("methods", "--json")):
    """Run the command in a process of its own, `path` on sys.path, and return what it did."""
    program = f"import sys; sys.path.insert(0, {str(path)!r})\nfrom mmtsa_cli.cli import run\n" + (
        f"code = run({list(arguments)!r})\n{before}\nsys.exit(code)"
    )
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)


def installed(root, target, module=THEIRS):
    """Write a distribution as an installer leaves it: its metadata with an entry point, and a module."""
    about = root / "their_systems-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: their-systems\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(f"[mmtsa.methods]\ntheirs = {target}\n")
    (root / "their_systems.py").write_text(module)
    return root


def test_all_systems_are_listed_with_their_published_figures(mmtsa):
    rows = json.loads(mmtsa("methods", "--json").stdout)
    by_name = {row["name"]: row for row in rows}
    assert len(by_name) >= 22
    assert by_name["mmtsa"]["published"] == {
        "mmact cross-subject": 87.41, "mmact cross-session": 94.07, "egocentric": 81.0, "dataego": 83.22
    }  # fmt: skip
    for entry in ENTRIES:
        row = by_name[entry.name]
        assert (row["inputs"], row["what"], row["source"]) == (entry.inputs, entry.what, entry.source)
        assert "parameters" not in row


def test_the_table_for_people_says_that_the_figures_are_published(mmtsa):
    done = mmtsa("methods")
    assert "F1 in percent, published, not measured here" in done.stdout
    for text in ("mmtsa-concat", "87.41", "62.27", "decision-tree"):
        assert text in done.stdout


def test_the_list_imports_no_system(tmp_path):
    guard = "heavy = {'torch', 'sklearn', 'cv2', 'scipy'} & set(sys.modules)\nassert not heavy, heavy"
    done = run_apart(tmp_path, before=guard)
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)) >= 22


def test_a_system_of_another_package_is_listed(tmp_path):
    done = run_apart(installed(tmp_path, "their_systems:ENTRY"))
    assert done.returncode == 0, done.stderr
    row = json.loads(done.stdout)[-1]
    assert (row["name"], row["inputs"], row["source"]) == ("theirs", "sensors", "Nobody, 2026")
    assert row["published"] == {}


def test_an_entry_point_that_leads_elsewhere_is_named(tmp_path):
    done = run_apart(installed(tmp_path, "their_systems:ENTRY", "ENTRY = 3"))
    assert done.returncode == 2
    assert "mmtsa.methods, their_systems:ENTRY: entry point theirs leads to no system" in done.stderr


def test_a_second_system_of_a_name_is_refused(tmp_path):
    done = run_apart(installed(tmp_path, "their_systems:ENTRY", THEIRS.replace('"theirs"', '"mmtsa"')))
    assert done.returncode == 2
    assert "a second system called mmtsa" in done.stderr


@pytest.fixture
def only(monkeypatch):
    """Leave some systems in the table; at their full size they would take long to make."""

    def choose(*names, **others):
        chosen = {entry.name: entry for entry in ENTRIES if entry.name in names}
        monkeypatch.setattr(stage, "entries", lambda: {**chosen, **others})

    return choose


def test_on_samples_each_system_says_what_it_costs(mmtsa, samples, only):
    from mmtsa_cli.methods.mmtsa import Mmtsa, MmtsaOptions
    from mmtsa_cli.models.cost import parameters
    from mmtsa_cli.sampling.draw import DrawOptions, Samples
    from mmtsa_cli.sampling.store import Store

    only("mmtsa")
    (row,) = json.loads(mmtsa("methods", samples, "--json").stdout)
    assert row["runs"] is True
    assert row["modalities"] == ["rgb", "acc_phone", "acc_watch", "gyro", "orientation"]
    store = Store(samples)
    drawn = Samples(store, [0, 1], modalities=row["modalities"], classes=store.labels, options=DrawOptions())
    assert row["parameters"] == parameters(Mmtsa.for_samples(MmtsaOptions(), drawn).network)
    # BN-Inception takes about 2 GMAC at 224 pixels, a quarter of it at 112, three frames a clip; sensors beside.
    assert row["macs"] > 3 * 2.0e9 / 4


def test_what_lacks_its_modality_or_its_code_says_so(mmtsa, samples, only, monkeypatch):
    from mmtsa_cli.methods.registry import Entry

    nowhere = Entry("nowhere", "mmtsa_cli.methods.nowhere:Nowhere", "video", "-", "-")
    only("svm", nowhere=nowhere)
    monkeypatch.setattr(
        "mmtsa_cli.stages.methods.modalities_of",
        lambda entry, kinds: modalities_of(entry, {name: kind for name, kind in kinds.items() if name == "rgb"}),
    )
    svm, other = json.loads(mmtsa("methods", samples, "--json").stdout)
    assert (svm["runs"], other["runs"]) == (False, False)
    assert svm["why_not"] == "svm needs an accelerometer, expected an accelerometer, found rgb"
    assert "nowhere cannot be loaded" in other["why_not"]
    shown = mmtsa("methods", samples).stdout
    assert "svm needs an accelerometer" in " ".join(shown.split())


def test_what_is_no_store_is_refused(mmtsa, tmp_path):
    done = mmtsa("methods", tmp_path / "none", expect=1)
    assert "none: no such directory, expected a directory made by `mmtsa sample`" in done.stderr


@pytest.mark.parametrize("module", ["import a_package_that_is_not_there\n", "OTHER = 1\n"])
def test_an_entry_point_that_cannot_be_loaded_is_told_in_one_line(tmp_path, module):
    done = run_apart(installed(tmp_path, "their_systems:ENTRY", module))
    assert done.returncode == 2
    (line,) = done.stderr.strip().splitlines()
    assert "mmtsa.methods, their_systems:ENTRY: method theirs cannot be loaded, found " in line
