"""`mmtsa report`: one page that holds what the directories say, looked at in a browser where there is one."""

import csv
import html
import itertools
import json
import re
import shlex
import shutil
import subprocess
import sys

import cv2
import numpy as np
import pytest
import yaml

from mmtsa_cli import cli
from mmtsa_cli.artifacts.manifest import Manifest, fingerprint, write_manifest
from mmtsa_cli.evaluation.calibration import expected_calibration_error
from mmtsa_cli.evaluation.metrics import score
from mmtsa_cli.reporting.charts import Line, line_chart, ticks
from mmtsa_cli.reporting.result_tables import MISSING, Column, write_tables
from mmtsa_cli.stages.pages.evaluation import bins_of
from mmtsa_cli.stages.tables import published as paper_tables
from tests import browser

QUICK = """
sampling: {frame_size: 32, window: 1.0}
imaging: {field: both, range: unit, scale: dataset, image_size: 32}
model: {backbone: resnet10, width: 0.125, hidden: 16, dropout: 0.0}
training: {epochs: 2, batch_size: 28, optimizer: adamw, lr: 0.004, precision: float32, threads: 1}
validation: {count: 1}
"""
SCRIPT, PICTURE = "<script>alert(1)</script>", '"><img src=x onerror=alert(2)>'
PROGRAM = browser.find()


def call(*arguments):
    assert cli.run([str(argument) for argument in arguments]) == 0


@pytest.fixture(scope="module")
def made(samples, tmp_path_factory):
    """A run on rgb and the watch, its evaluation with calibration and faults, and an ablation of one row."""
    at = tmp_path_factory.mktemp("report")
    (at / "quick.yaml").write_text(QUICK)
    names = ("--modalities", "rgb,acc_watch")
    call("train", samples, "-o", at / "run", "--recipe", at / "quick.yaml", *names)
    call("eval", at / "run", samples, "-o", at / "eval", "--calibrate", "--corrupt", "shift")
    call("ablate", samples, "-o", at / "ablate", "--recipe", at / "quick.yaml", "--modalities", "gyro")
    return at


@pytest.fixture(scope="module")
def page(made):
    """The page of all three."""
    call("report", made / "run", made / "ablate", made / "eval", "-o", made / "report.html")
    return made / "report.html"


@pytest.fixture(scope="module")
def started():
    if PROGRAM is None:
        pytest.skip(f"no browser: none of {', '.join(browser.NAMES)} is installed")
    with browser.Browser(PROGRAM) as one:
        yield one


@pytest.fixture
def chromium(started):
    """The browser, which has seen nothing yet."""
    started.forget()
    return started


def write_evaluation(directory, classes, clips=60, *, seed=0, ids=None, subjects=("1", "2"), inputs=None, wrong=0.3):
    """Write an evaluation as `eval` does, of predictions that are drawn; return true and predicted classes."""
    rng = np.random.default_rng(seed)
    count = len(classes)
    true = np.arange(clips) % count
    predicted = np.where(rng.random(clips) < wrong, rng.integers(0, count, clips), true)
    chances = rng.dirichlet(np.ones(count), clips) * 0.5
    chances[np.arange(clips), predicted] += 0.5
    directory.mkdir(parents=True)
    ids = ids or [f"clip-{i}" for i in range(clips)]
    with (directory / "predictions.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        heads = ("id", "fold", "subject", "label", "predicted", *(f"p_{name}" for name in classes), "attention_1")
        writer.writerow(heads)
        for i, row in enumerate(chances.round(6).tolist()):
            names = (subjects[i % len(subjects)], classes[true[i]], classes[predicted[i]])
            writer.writerow((ids[i], "cross-subject", *names, *row, 1.0))
    found = score(true, predicted, count)
    spans = {"interval_95": [0.25, 0.75], "macro_f1_interval_95": [0.2, 0.8]}
    about = {"accuracy": found.accuracy, "macro_f1": found.macro_f1, **spans, "n": clips, "subjects": 2}
    metrics = {
        **about,
        "interval_over": "subjects and their clips",
        "per_class": {
            name: {"f1": one.f1, "interval_95": [0.0, 1.0], "precision": one.precision, "recall": one.recall,
                   "n": one.support}
            for name, one in zip(classes, found.per_class, strict=True)
        },
        "folds": [{"name": "cross-subject", **about}],
        "protocol": "cross-subject",
        "seed": 3,
        "bootstrap_seed": 0,
        "classes": list(classes),
    }  # fmt: skip
    (directory / "metrics.json").write_text(json.dumps(metrics))
    inputs = inputs or {"run": "sha256:1", "samples": "sha256:2"}
    write_manifest(directory, Manifest("eval", {"protocol": "cross-subject"}, 0, inputs))
    return true, predicted


def write_table_directory(directory, stage, tables, *, results=None, configuration=None):
    directory.mkdir(parents=True)
    for name, (title, columns, rows, notes) in tables.items():
        write_tables(directory, name, title, columns, rows, notes)
    write_manifest(directory, Manifest(stage, configuration, 0, {"samples": "sha256:2"}, results=results))
    return directory


def benchmark_directory(directory, rows=()):
    tables = {f"table-{n}": paper_tables.laid_out(n, rows, protocol="cross-subject", data="toy") for n in (1, 2, 3)}
    columns = [Column("method", "method"), Column("accuracy", "accuracy = micro F1, %", 2, 100)]
    tables["table"] = ("toy, cross-subject", columns, list(rows), ["One seed."])
    configuration = {"recipe": {"sampling": {"window": 1.0}}, "protocol": "cross-subject", "folds": [], "version": "1"}
    results = {"seeds": [0], "done": [row["method"] for row in rows], "failed": [], "left_out": []}
    return write_table_directory(directory, "benchmark", tables, results=results, configuration=configuration)


def text_of(page):
    """The page without what it looks like and does."""
    return re.sub(r"<(style|script)>.*?</\1>", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)


def cells(row):
    return [html.unescape(re.sub(r"<[^>]*>", "", cell)) for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row)]


def table_after(text, title):
    """The rows, as text, of the first table below a title."""
    return [
        cells(row) for row in re.findall(r"<tr[^>]*>.*?</tr>", text[text.index(title) :].split("</table>")[0], re.S)
    ]


# What it says


def test_the_figures_are_those_of_the_evaluation(made, page):
    text, metrics = text_of(page), json.loads((made / "eval" / "metrics.json").read_text())
    shown = re.findall(r'class="value">([^<]*)<.*?95 % interval ([^<]*)<', text, re.DOTALL)
    for (value, interval), key in zip(shown, ("", "macro_f1_"), strict=True):
        low, high = metrics[f"{key}interval_95"]
        assert value == f"{metrics[key.removesuffix('_') or 'accuracy']:.3f}"
        assert interval == f"{low:.3f} to {high:.3f}"
    assert "28 test clips of 1 subject, 14 classes, 1 fold; modalities rgb, acc_watch." in text
    assert "Best possible accuracy on these recordings: video" in text
    found = {row[0]: row for row in table_after(text, "<h3>Classes</h3>")[1:]}
    assert set(found) == set(metrics["classes"])
    for name, one in metrics["per_class"].items():
        numbers = [f"{one[key]:.3f}" for key in ("precision", "recall")]
        assert found[name][1] == f"{one['f1']:.3f}"
        assert found[name][-3:] == [*numbers, str(one["n"])]


def test_the_matrix_counts_the_predictions(made, page):
    head, *rows = table_after(text_of(page), "<h3>Confusion matrix</h3>")
    names = head[1:]
    found = {(row[0], name): int(count) for row in rows for name, count in zip(names, row[1:], strict=True) if count}
    said = list(csv.DictReader((made / "eval" / "predictions.csv").open()))
    for row in said:
        found[row["label"], row["predicted"]] -= 1
    assert len(said) == 28
    assert set(found.values()) == {0}


def test_the_surest_mistakes_come_first_with_their_contact_sheets(made, page):
    said = list(csv.DictReader((made / "eval" / "predictions.csv").open()))
    wrong = [row for row in said if row["label"] != row["predicted"]]
    wrong.sort(key=lambda row: -float(row[f"p_{row['predicted']}"]))
    items = re.findall(r'<li class="card mistake">.*?</li>', text_of(page), re.DOTALL)
    assert len(items) == min(12, len(wrong))
    for item, row in zip(items, wrong, strict=False):
        assert f"<b>{row['predicted']}</b>" in item
        assert f"<b>{row['label']}</b>" in item
        assert f" {row['id']} " in item
        assert f"{float(row['p_' + row['predicted']]):.3f} sure" in item
        picture = np.frombuffer(_bytes(item), np.uint8)
        assert len(picture) <= 90_000
        # Of the two modalities that the run got, three segments.
        assert cv2.imdecode(picture, cv2.IMREAD_COLOR).shape == (2 * 98 - 2, 3 * 98 - 2, 3)
        assert re.findall(r'class="names">(.*?)</div>', item) == ["<span>rgb</span><span>acc_watch</span>"]


def _bytes(item):
    import base64

    return base64.b64decode(re.search(r"data:image/jpeg;base64,([^\"]*)", item)[1])


def test_calibration_and_robustness_are_shown_where_they_were_measured(made, page, mmtsa, tmp_path):
    text, metrics = text_of(page), json.loads((made / "eval" / "metrics.json").read_text())
    _, *rows = table_after(text, "<h3>Calibration</h3>")
    for row, when in zip(rows, ("before", "after"), strict=True):
        error = metrics["calibration"][when]["expected_calibration_error"]
        assert row[:2] == [when, f"{error:.3f}"]
    assert len(re.findall('aria-label="(As predicted|With the fitted temperature)"', text)) == 2
    _, *rows = table_after(text, "Faults of sensors and cameras")
    assert [row[:4] for row in rows] == [
        [one["fault"], one["about"], f"{one['strength']:g}", f"{one['accuracy']:.3f}"] for one in metrics["robustness"]
    ]
    assert {row[0] for row in rows} == {"shift"}
    # Without them: one diagram, and what would fit a temperature.
    write_evaluation(tmp_path / "eval", ["a", "b"])
    mmtsa("report", tmp_path / "eval", "-o", tmp_path / "plain.html")
    plain = text_of(tmp_path / "plain.html")
    assert "<h3>Robustness</h3>" not in plain
    assert "No temperature was fitted (mmtsa eval --calibrate)" in plain
    assert 'aria-label="As predicted"' in plain
    assert "With the fitted temperature" not in plain


def test_the_curves_have_a_point_an_epoch(page):
    chart = re.search(r'aria-label="Accuracy">.*?</svg>', text_of(page), re.DOTALL)[0]
    lines = re.findall(r'<polyline class="line (\w+)" points="([^"]*)"', chart)
    assert [name for name, _ in lines] == ["first", "second", "third"]
    assert {len(points.split()) for _, points in lines} == {2}
    assert "kept: epoch" in text_of(page)


def test_the_tables_stand_as_they_were_written_and_say_what_is_published(made, mmtsa, tmp_path):
    row = {"method": "svm", "status": "done", "accuracy": 0.625, "interval_95": [0.5, 0.75], "interval_over": "clips"}
    bench = benchmark_directory(tmp_path / "bench", [row])
    mmtsa("report", bench, made / "ablate", "-o", tmp_path / "report.html")
    text = text_of(tmp_path / "report.html")
    for directory, names in ((bench, ("table-1", "table-2", "table-3", "table")), (made / "ablate", ("table",))):
        for name in names:
            title = json.loads((directory / f"{name}.json").read_text())["title"]
            written = list(csv.reader((directory / f"{name}.csv").open()))
            shown = table_after(text, f"<h4>{html.escape(title, quote=False)}</h4>")
            assert shown == [[cell or MISSING for cell in line] for line in written]
    assert "Table 1: cross-subject and cross-session performance comparison on MMAct" in text
    assert "(table 4 of the paper)" in text
    heads = re.findall(r'<th scope="col" class="n published">([^<]*)</th>', text)
    assert len(heads) == 4
    assert all(head.endswith("(published)") for head in heads)
    assert ["SVM, Kwapisz et al. (2011)", "62.50", "50.00 to 75.00", "47.75"] in table_after(text, "Table 2:")


def test_the_commands_make_the_same_again(made, page, mmtsa, samples, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    origins = text_of(page).split('<section id="origins">')[1].split('<div class="origin">')[1:]
    again = {}
    for origin in origins:
        command = shlex.split(html.unescape(re.search(r'<pre class="command">(.*?)</pre>', origin, re.S)[1]))
        again[command[1]] = command[1:]
        recipe = re.search(r'<pre class="recipe">(.*?)</pre>', origin, re.DOTALL)
        assert bool(recipe) == (command[1] != "eval")
        if recipe:
            (tmp_path / "recipe.yaml").write_text(html.unescape(recipe[1]))
        # Where the result is, it is known as the same work.
        where = command.index("-o") + 1
        assert command[where] == f"{made / command[1].replace('train', 'run')}-again"
        done = mmtsa(*command[1:where], command[where].removesuffix("-again"), *command[where + 1 :])
        assert "already holds this result" in done.stderr
    assert list(again) == ["eval", "train", "ablate"]
    assert fingerprint(samples) in text_of(page)
    assert fingerprint(made / "run") in text_of(page)
    assert yaml.safe_load((tmp_path / "recipe.yaml").read_text())["training"]["epochs"] == 2


def test_a_grid_of_settings_is_reproduced_by_what_was_varied(mmtsa, tmp_path):
    def row(lr, modalities):
        return {"modalities": modalities, "model": {"fusion": "attention"}, "training": {"lr": lr}}

    columns = [Column("names", "modalities")]
    for name, rows, wanted in (
        ("subsets", {"a": row(0.1, ["acc_phone", "acc_watch"]), "b": row(0.1, ["rgb"])}, "--modalities acc,rgb"),
        ("lr", {"a": row(0.1, ["rgb"]), "b": row(0.2, ["rgb"])}, "--set 'modalities=[rgb]' --vary training.lr=0.1,0.2"),
    ):
        names = [{"names": {"acc_phone": "acc"}.get(one["modalities"][0], "rgb")} for one in rows.values()]
        write_table_directory(
            tmp_path / name,
            "ablate",
            {"table": ("Ablation", columns, names, [])},
            results={"rows": names},
            configuration={"protocol": "cross-subject", "folds": ["cross-subject"], "seeds": 2, "rows": rows},
        )
        mmtsa("report", tmp_path / name, "-o", tmp_path / f"{name}.html")
        command = html.unescape(re.search(r'<pre class="command">(.*?)</pre>', text_of(tmp_path / f"{name}.html"))[1])
        assert command.endswith(f" --recipe recipe.yaml --protocol cross-subject {wanted} --seeds 2 --seed 0")


def test_evaluations_come_first_and_twice_is_once(made, mmtsa, tmp_path):
    done = mmtsa("report", made / "run", made / "eval", made / "run", "-o", tmp_path / "r.html", "--json")
    facts = json.loads(done.stdout)
    assert facts["directories"] == [
        {"path": str(made / "eval"), "stage": "eval"},
        {"path": str(made / "run"), "stage": "train"},
    ]
    assert facts["bytes"] == (tmp_path / "r.html").stat().st_size
    assert facts["pictures"] == 12
    # Two of one name are told apart.
    write_evaluation(tmp_path / "one" / "eval", ["a", "b"])
    write_evaluation(tmp_path / "two" / "eval", ["a", "b"])
    mmtsa("report", tmp_path / "one" / "eval", tmp_path / "two" / "eval", "-o", tmp_path / "two.html")
    assert re.findall("<h2>(.*?)</h2>", text_of(tmp_path / "two.html"))[:2] == [
        f"Evaluation {tmp_path / name / 'eval'}" for name in ("one", "two")
    ]


def test_without_the_samples_mistakes_are_listed_without_pictures(made, mmtsa, samples, tmp_path):
    copy = shutil.copytree(made / "eval", tmp_path / "eval")
    manifest = (copy / "manifest.json").read_text()
    gone, changed = str(tmp_path / "gone"), fingerprint(samples)
    for spoilt, why in (
        (manifest.replace(str(samples), gone), f"the sample store {gone} is not there"),
        (manifest.replace(changed, "sha256:0"), f"the sample store {samples} is another one than was evaluated"),
    ):
        (copy / "manifest.json").write_text(spoilt)
        done = mmtsa("report", copy, "-o", tmp_path / "r.html", "--overwrite")
        assert f"no pictures of mistakes: {why}" in done.stderr
        text = text_of(tmp_path / "r.html")
        assert f"without pictures: {why}." in text
        assert text.count('<li class="card mistake">') == 12
        assert "data:image" not in text


def test_the_command_needs_no_torch(made, tmp_path):
    words = ["report", *(str(made / name) for name in ("eval", "run", "ablate")), "-o", str(tmp_path / "r.html")]
    program = (
        "import sys\nfrom mmtsa_cli.cli import run\n"
        f"code = run({words})\n"
        "assert 'torch' not in sys.modules\nsys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# What comes from files is text


@pytest.fixture
def hostile(tmp_path):
    """An evaluation, a benchmark and their page, with HTML in every label, id, subject, path and note."""
    classes = [SCRIPT, PICTURE, "a & b", "</style><b>"]
    ids = [f"{PICTURE}{i}" for i in range(60)]
    inputs = {f"run{SCRIPT}": "sha256:1", f"{PICTURE}/samples": "sha256:2"}
    at = tmp_path / "<img src=y onerror=alert(3)>"
    write_evaluation(at / "eval", classes, ids=ids, subjects=(SCRIPT, PICTURE), inputs=inputs)
    row = {"method": SCRIPT, "accuracy": 0.5, "status": "failed", "outcome": f"failed: {PICTURE}"}
    benchmark_directory(at / "bench", [row])
    call("report", at / "eval", at / "bench", "-o", tmp_path / "hostile.html")
    return tmp_path / "hostile.html"


def test_html_in_labels_and_paths_is_shown_as_text(hostile):
    text = text_of(hostile)
    assert not re.search(r"<script|<img src=x|<img src=y|<b>\"|</style>", text)
    assert text.count(html.escape(SCRIPT, quote=False)) > 5
    assert text.count("&#34;&gt;&lt;img src=x onerror=alert(2)&gt;") > 20
    assert "&lt;img src=y onerror=alert(3)&gt;" in text
    matrix = table_after(text, "<h3>Confusion matrix</h3>")
    assert matrix[0][1:] == [SCRIPT, PICTURE, "a & b", "</style><b>"]


def test_nothing_in_it_runs_in_a_browser(hostile, chromium):
    chromium.open(hostile)
    assert chromium.problems == []
    assert chromium.requests == [hostile.as_uri()]
    assert chromium.run("document.querySelectorAll('script').length") == 1
    assert chromium.run("document.querySelectorAll('img').length") == 0
    assert chromium.run("document.querySelector('table.confusion tbody th').textContent") == SCRIPT
    # What is read on pointing is text as well.
    chromium.point("table.confusion tbody tr:nth-child(2) td:nth-of-type(2)")
    assert chromium.run("document.getElementById('tip').textContent").startswith(f"{PICTURE}: ")
    assert chromium.run("document.querySelectorAll('img').length") == 0


def test_the_policy_stops_what_would_get_past(page, chromium, tmp_path):
    spoilt = page.read_text().replace("<main>", "<main><script>window.ran = 1</script><img src='http://localhost:1/x'>")
    (tmp_path / "spoilt.html").write_text(spoilt)
    chromium.open(tmp_path / "spoilt.html")
    assert chromium.run("window.ran === undefined")
    assert len([text for text in chromium.problems if "Content Security Policy" in text]) == 2


# In a browser


def test_it_is_whole_without_a_net_and_the_console_is_silent(page, chromium):
    assert not re.search(r"""(?:src|href)=["'](?!data:|#)""", text_of(page))
    for dark in (False, True):
        chromium.open(page, dark=dark)
    assert chromium.problems == []
    assert {url for url in chromium.requests if not url.startswith("data:image/")} == {page.as_uri()}
    assert chromium.run("[...document.images].every((image) => image.complete && image.naturalWidth > 100)")


def test_pointing_at_the_matrix_tells_count_share_and_classes(page, chromium, made):
    said = list(csv.DictReader((made / "eval" / "predictions.csv").open()))
    row = next(row for row in said if row["label"] != row["predicted"])
    same = [r for r in said if r["label"] == row["label"]]
    count = sum(r["predicted"] == row["predicted"] for r in same)
    names = sorted({r["label"] for r in said})
    at = names.index(row["label"]) + 1, names.index(row["predicted"]) + 1
    chromium.open(page)
    assert chromium.run("document.getElementById('tip').hidden")
    chromium.point(f"table.confusion tbody tr:nth-child({at[0]}) td:nth-of-type({at[1]})")
    wanted = (
        f"{row['label']} taken for {row['predicted']}: {count} of {len(same)} clips ({100 * count / len(same):.1f} %)"
    )
    assert chromium.run("document.getElementById('tip').textContent") == wanted
    assert not chromium.run("document.getElementById('tip').hidden")
    assert chromium.run("document.querySelector('.readout').textContent") == wanted


def matrix(chromium):
    read = "[...document.querySelector('table.confusion').rows].map((row) => [...row.cells].map((c) => c.textContent))"
    head, *rows = chromium.run(read)
    return head[1:], [row[0] for row in rows], {
        (row[0], name): int(count) for row in rows for name, count in zip(head[1:], row[1:], strict=True) if count
    }  # fmt: skip


def test_the_matrix_is_sorted_by_label_errors_their_share_and_clips(chromium, mmtsa, tmp_path):
    classes = [f"class {c}" for c in "dacbe"]
    # An uneven number of clips of each class.
    true, predicted = write_evaluation(tmp_path / "eval", classes, clips=43, wrong=0.6)
    mmtsa("report", tmp_path / "eval", "-o", tmp_path / "r.html")
    chromium.open(tmp_path / "r.html")
    columns, before, counts = matrix(chromium)
    assert before == columns == classes
    errors = {name: int(((true == i) & (predicted != i)).sum()) for i, name in enumerate(classes)}
    clips = {name: int((true == i).sum()) for i, name in enumerate(classes)}
    assert len(set(errors.values())) > 2
    orders = {
        "errors": lambda name: -errors[name],
        "share": lambda name: -errors[name] / clips[name],
        "clips": lambda name: -clips[name],
        "label": classes.index,
    }
    for by, key in orders.items():
        chromium.point(f"[data-sort={by}]", click=True)
        columns, rows, found = matrix(chromium)
        assert rows == columns == sorted(classes, key=key), by
        assert found == counts
        assert chromium.run("document.querySelector('.sort [aria-pressed=true]').dataset.sort") == by


def test_the_classes_are_sorted_by_their_heads(chromium, mmtsa, tmp_path):
    write_evaluation(tmp_path / "eval", [f"c{i}" for i in range(6)], clips=100, wrong=0.5)
    mmtsa("report", tmp_path / "eval", "-o", tmp_path / "r.html")
    chromium.open(tmp_path / "r.html")
    read = "[...document.querySelector('table.classes').tBodies[0].rows].map((row) => row.cells[1].textContent)"
    before = chromium.run(read)
    for want in (sorted(before, reverse=True), sorted(before)):
        chromium.point("table.classes th:nth-child(2)", click=True)
        assert chromium.run(read) == want
    assert before not in (sorted(before), sorted(before, reverse=True))


def test_light_and_dark_by_the_system_and_by_the_button(page, chromium):
    paper = "getComputedStyle(document.body).backgroundColor"
    chromium.open(page)
    light = chromium.run(paper)
    chromium.open(page, dark=True)
    dark = chromium.run(paper)
    assert (light, dark) == ("rgb(255, 255, 255)", "rgb(17, 21, 26)")
    chromium.point("#theme", click=True)
    assert chromium.run(paper) == light
    chromium.point("#theme", click=True)
    assert chromium.run(paper) == dark


_REACHING_OUT = """
[...document.querySelectorAll('.confusion th, .classes th, .table th, .table td')].filter((cell) => {
  if (!cell.textContent) return false;
  const range = document.createRange();
  range.selectNodeContents(cell);
  const text = range.getBoundingClientRect(), box = cell.getBoundingClientRect();
  return text.left < box.left - 1 || text.right > box.right + 1
    || text.top < box.top - 1 || text.bottom > box.bottom + 1;
}).map((cell) => cell.textContent)
"""


def test_it_is_read_on_a_phone_and_on_paper(chromium, mmtsa, made, page, tmp_path):
    classes = [f"draw_circle_counter_clockwise_{i}" for i in range(27)]
    write_evaluation(tmp_path / "eval", classes, clips=200)
    mmtsa("report", tmp_path / "eval", made / "ablate", "-o", tmp_path / "r.html")
    for width in (390, 1280):
        chromium.open(tmp_path / "r.html", width=width, height=844)
        assert chromium.run("[document.documentElement.scrollWidth, innerWidth]") == [width, width]
        # Names of classes are whole: no text reaches out of its cell.
        assert chromium.run(_REACHING_OUT) == []
    chromium.open(page, dark=True)
    chromium.pdf(tmp_path / "r.pdf")
    assert (tmp_path / "r.pdf").read_bytes().startswith(b"%PDF")
    assert chromium.run("[...document.querySelectorAll('details')].every((one) => one.open)")
    chromium.call("Emulation.setEmulatedMedia", media="print")
    assert chromium.run("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert chromium.run("getComputedStyle(document.querySelector('nav')).display") == "none"
    chromium.picture(tmp_path / "r.png")
    assert cv2.imread(str(tmp_path / "r.png")).std() > 5


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """The page of 36,000 predictions of 37 classes."""
    at = tmp_path_factory.mktemp("large")
    write_evaluation(at / "eval", [f"activity {i}" for i in range(37)], clips=36_000)
    call("report", at / "eval", "-o", at / "large.html")
    return at / "large.html"


def test_a_page_of_36000_predictions_is_small(large):
    assert large.stat().st_size < 5e6
    # Far below, in fact: predictions are counted, not listed.
    assert large.stat().st_size < 3e5
    assert "36000 test clips" in text_of(large)


def test_a_page_of_36000_predictions_opens_fast(large, chromium):
    # The best of a few: whatever else keeps the machine busy only adds to it.
    assert any(chromium.open(large) < 2.0 for _ in range(5))


# Bad input


def test_a_report_is_replaced_only_where_it_is_asked_for_and_is_one(made, mmtsa, tmp_path):
    output = tmp_path / "new" / "report.html"
    mmtsa("report", made / "run", "-o", output)
    before = output.read_bytes()
    assert "already holds this result" in mmtsa("report", made / "run", "-o", output).stderr
    refused = mmtsa("report", made / "ablate", "-o", output, expect=2)
    assert "holds a report of other results; give --overwrite to replace it" in refused.stderr
    assert output.read_bytes() == before
    mmtsa("report", made / "ablate", "-o", output, "--overwrite")
    assert output.read_bytes() != before
    output.write_text("<html>my own page</html>")
    refused = mmtsa("report", made / "run", "-o", output, "--overwrite", expect=2)
    assert "exists and is no report of mmtsa, left as it is" in refused.stderr
    assert output.read_text() == "<html>my own page</html>"
    assert [path.name for path in output.parent.iterdir()] == ["report.html"]


def test_an_output_that_is_no_page(made, mmtsa, tmp_path):
    assert (
        "expected one that ends in .html" in mmtsa("report", made / "run", "-o", tmp_path / "report", expect=2).stderr
    )
    (tmp_path / "d.html").mkdir()
    assert "d.html: a directory" in mmtsa("report", made / "run", "-o", tmp_path / "d.html", expect=2).stderr
    (tmp_path / "file").write_text("")
    done = mmtsa("report", made / "run", "-o", tmp_path / "file" / "r.html", expect=1)
    assert f"--output {tmp_path / 'file' / 'r.html'}: cannot be written" in done.stderr


KNOWN = "expected a directory made by mmtsa eval, train, benchmark or ablate"


def test_directories_that_it_does_not_know(made, mmtsa, samples, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "said.csv").write_text("recording,class\n")
    for what, phrase, code in (
        (samples, f"nothing that a report shows, {KNOWN}, found one of sample", 2),
        (tmp_path / "empty", f"empty: no manifest.json, {KNOWN}", 2),
        (tmp_path / "said.csv", f"said.csv: a file, {KNOWN}", 2),
        (tmp_path / "nothing", "nothing: no such directory", 1),
    ):
        done = mmtsa("report", made / "run", what, "-o", tmp_path / "r.html", expect=code)
        assert phrase in done.stderr
        assert not (tmp_path / "r.html").exists()


def test_what_is_not_finished(made, mmtsa, tmp_path):
    shutil.copytree(made / "run", tmp_path / "run.partial")
    for name in ("run", "run.partial"):
        done = mmtsa("report", tmp_path / name, "-o", tmp_path / "r.html", expect=1)
        assert "run.partial: not finished" in done.stderr
        assert "give the command that was writing it again" in done.stderr
    bench = benchmark_directory(tmp_path / "bench")
    (bench / "table.json").unlink()
    done = mmtsa("report", bench, "-o", tmp_path / "r.html", expect=1)
    assert "bench: the benchmark is not finished: no table.json; run it to its end" in done.stderr
    assert not (tmp_path / "r.html").exists()


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def rewrite(old, new):
    def spoil(path):
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))

    return spoil


@pytest.mark.parametrize(
    ("name", "spoil", "phrase"),
    [
        ("eval/manifest.json", cut, "damaged"),
        ("eval/metrics.json", cut, "metrics.json: damaged"),
        ("eval/metrics.json", rewrite('"accuracy"', '"acuracy"'), "metrics.json: damaged, found no 'accuracy'"),
        ("eval/metrics.json", lambda path: path.unlink(), "eval: no metrics.json"),
        ("eval/predictions.csv", cut, "predictions.csv: damaged"),
        ("eval/predictions.csv", rewrite(",cross-subject,4,", ",cross-subject,4,x"), "row 2: a label that is no class"),
        ("eval/predictions.csv", rewrite(",cross-subject,4,", ",cross-subject,"), "row 2: "),
        ("eval/predictions.csv", rewrite("p_sitting", "q_sitting"), "predictions.csv: damaged"),
        ("eval/calibration.json", cut, "calibration.json: damaged"),
        ("run/folds/cross-subject/log.csv", rewrite("\n1,", "\none,"), "log.csv: damaged"),
        ("run/manifest.json", rewrite('"best_epoch"', '"worst_epoch"'), "damaged, found no 'best_epoch'"),
        ("ablate/table.json", cut, "table.json: damaged"),
        ("ablate/table.csv", lambda path: path.write_text("a\n"), "other rows or columns than table.json"),
        ("ablate/manifest.json", rewrite('"rows"', '"lines"'), "manifest.json: damaged, found no 'rows'"),
    ],
)
def test_damaged_files_are_named(made, mmtsa, tmp_path, name, spoil, phrase):
    directory = shutil.copytree(made / name.split("/")[0], tmp_path / name.split("/")[0])
    spoil(tmp_path / name)
    done = mmtsa("report", directory, "-o", tmp_path / "r.html", expect=1)
    assert phrase in done.stderr
    assert str(directory) in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "r.html").exists()


# The core


def test_bins_add_up_to_the_expected_calibration_error():
    rng = np.random.default_rng(1)
    confidence = np.concatenate([rng.random(500), [0.6, 1.0, 0.0]])
    right = rng.random(503) < confidence
    bins = bins_of(confidence, right)
    assert sum(one.count for one in bins) == 503
    error = sum(one.count * abs(one.accuracy - one.confidence) for one in bins) / 503
    assert error == pytest.approx(expected_calibration_error(confidence, right))
    assert all(one.low <= one.confidence <= one.high + 1e-9 for one in bins)


@pytest.mark.parametrize(("low", "high"), [(0, 1), (1, 6), (0, 0.037), (-3, 11), (1, 1), (0, 123456)])
def test_ticks_are_few_round_and_within(low, high):
    found = ticks(low, high)
    assert 1 <= len(found) <= 7
    assert all(low - 1e-9 <= value <= high + 1e-9 for value in found)
    steps = {round(b - a, 9) for a, b in itertools.pairwise(found)}
    assert len(steps) <= 1
    assert all(f"{step:g}".rstrip("0").replace("0.", "").lstrip("0") in ("1", "2", "25", "5", "2.5") for step in steps)
    assert all(value == int(value) for value in ticks(low, high, whole=True) if high > 1)


def test_points_stand_within_the_axes_and_what_is_no_number_is_left_out():
    line = Line("loss", "first", [(1, 2.0), (2, float("nan")), (3, 4.0)])
    chart = line_chart("t", [line], x_label="x", y_label="y", whole_x=True)
    (drawn,) = chart.lines
    assert len(drawn.points) == 2
    (x1, y1), (x2, y2) = drawn.points
    assert (x1, x2) == (chart.left, chart.right)
    assert chart.top <= y2 < y1 <= chart.bottom
    alone = line_chart("t", [Line("loss", "first", [(1, 2.0)])], x_label="x", y_label="y")
    assert chart.left < alone.lines[0].points[0][0] < chart.right
