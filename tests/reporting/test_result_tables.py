"""Result tables: each format is read back and says the same; what LaTeX would take for a command is escaped."""

import csv
import json
import re

import cv2
import pytest

from mmtsa_cli.reporting import plots
from mmtsa_cli.reporting.plots import plot_accuracy_latency
from mmtsa_cli.reporting.result_tables import MISSING, Column, latex, markdown, write_tables

COLUMNS = (
    Column("name", "system"),
    Column("accuracy", "accuracy"),
    Column("interval", "95 % interval"),
    Column("parameters", "parameters"),
    Column("f1", "F1, %", digits=2, published=True),
)
ROWS = (
    {"name": "a_b & c|d", "accuracy": 0.87351, "interval": (0.8, 0.9), "parameters": 1200, "f1": 87.41, "seed": 3},
    {"name": "fvv+fvs #1", "accuracy": None, "parameters": 7},
)
SHOWN = [
    ["system", "accuracy", "95 % interval", "parameters", "F1, % (published)"],
    ["a_b & c|d", "0.874", "0.800 to 0.900", "1200", "87.41"],
    ["fvv+fvs #1", MISSING, MISSING, "7", MISSING],
]


def read_markdown(text):
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[c.strip().replace(r"\|", "|") for c in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    return [cells[0], *cells[2:]], cells[1]


def read_latex(text):
    """Read a plain tabular back: cells between unescaped &, the escapes undone."""
    body = text.split(r"\begin{tabular}")[1].split(r"\end{tabular}")[0].split("}", 1)[1].replace("\\hline\n", "")
    rows = [[cell.strip() for cell in re.split(r"(?<!\\)&", row)] for row in body.split("\\\\\n") if row.strip()]
    unescaped = [[c.replace("$|$", "|").replace("--", MISSING) for c in row] for row in rows]
    return [[re.sub(r"\\([%_&#${}])", r"\1", cell) for cell in row] for row in unescaped]


@pytest.fixture
def written(tmp_path):
    write_tables(tmp_path, "table", "Accuracy & cost of 100 %", COLUMNS, ROWS, ["One seed; n_test = 56."])
    return {path.suffix[1:]: path.read_text(encoding="utf-8") for path in tmp_path.glob("table.*")}


def test_all_four_are_written(written):
    assert written.keys() == {"md", "csv", "tex", "json"}


def test_markdown_read_back(written):
    cells, rule = read_markdown(written["md"])
    assert cells == SHOWN
    assert [mark.endswith(":") for mark in rule] == [False, True, False, True, True]
    assert written["md"].startswith("### Accuracy & cost of 100 %\n\n|")
    assert written["md"].endswith("|\n\nOne seed; n_test = 56.\n")


def test_csv_read_back(written):
    rows = list(csv.reader(written["csv"].splitlines()))
    assert rows == [["" if cell == MISSING else cell for cell in line] for line in SHOWN]


def test_latex_read_back(written):
    assert read_latex(written["tex"]) == SHOWN
    assert r"\begin{tabular}{lrlrr}" in written["tex"]
    assert r"\caption{Accuracy \& cost of 100 \%}" in written["tex"]
    assert r"n\_test = 56" in written["tex"]
    # Nothing that would need a package.
    assert set(re.findall(r"\\([a-z]+)", written["tex"])) == {
        "begin", "end", "centering", "caption", "hline", "par", "footnotesize"
    }  # fmt: skip


def test_json_holds_the_numbers_as_they_were(written):
    table = json.loads(written["json"])
    assert [row["accuracy"] for row in table["rows"]] == [0.87351, None]
    assert table["rows"][0]["interval"] == [0.8, 0.9]
    assert table["rows"][0]["seed"] == 3
    assert table["rows"][1]["f1"] is None
    assert list(table["columns"].values()) == SHOWN[0]
    assert table["published"] == ["f1"]


def test_what_latex_takes_for_commands_is_escaped():
    text = latex(r"50 % \of {x}~^2", [Column("n", "n")], [{"n": "$5 #1 a_b <c>"}])
    assert r"\caption{50 \% \textbackslash{}of \{x\}\textasciitilde{}\textasciicircum{}2}" in text
    assert r"\$5 \#1 a\_b $<$c$>$ \\" in text


def test_an_empty_table_is_its_heads():
    cells, _ = read_markdown(markdown("Nothing", COLUMNS, []))
    assert cells == SHOWN[:1]
    assert read_latex(latex("Nothing", COLUMNS, [])) == SHOWN[:1]


@pytest.mark.parametrize(
    ("column", "value", "text"),
    [
        (Column("x", "x", digits=1, scale=100), 0.8734, "87.3"),
        (Column("x", "x", digits=1, scale=100), 1, "100.0"),
        (Column("x", "x", digits=1, scale=100), (0.5, 0.75), "50.0 to 75.0"),
        (Column("x", "x", digits=2, scale=1e-9), 2_500_000_000, "2.50"),
        (Column("x", "x"), 0.0, "0.000"),
        (Column("x", "x", digits=4), 0.00004, "< 0.0001"),
        (Column("x", "x", digits=4), 0.00006, "0.0001"),
        (Column("x", "x", digits=1), -0.01, "-0.0"),
        (Column("x", "x"), 0, "0"),
        (Column("x", "x"), True, "True"),
        (Column("x", "x"), ["rgb", "acc"], "rgb, acc"),
        (Column("x", "x"), [], MISSING),
        (Column("x", "x"), "", MISSING),
    ],
)
def test_a_cell(column, value, text):
    assert column.text(value) == text


def points(count):
    return [
        {"name": f"system-{i}", "accuracy": 0.8 + 0.02 * (i % 5), "latency_ms": 10 + 1.5 * i, "interval_95": (0.7, 0.9)}
        for i in range(count)
    ]


def test_labels_of_22_crowded_points_do_not_cover_each_other(tmp_path, monkeypatch):
    kept = []
    monkeypatch.setattr(plots, "_save", lambda figure, path: kept.append(figure))
    plot_accuracy_latency(tmp_path / "plot.png", points(22))
    axes = kept[0].axes[0]
    assert axes.get_xscale() == "log"
    assert sorted(text.get_text() for text in axes.texts) == sorted(row["name"] for row in points(22))
    boxes = [text.get_window_extent() for text in axes.texts]
    covered = sum(
        part.width * part.height
        for i, box in enumerate(boxes)
        for other in boxes[:i]
        if (part := box.intersection(box, other))
    )
    assert covered < 0.02 * sum(box.width * box.height for box in boxes)


def test_points_without_a_figure_are_left_out_and_none_at_all_is_no_error(tmp_path):
    rows = [*points(2), {"name": "failed", "accuracy": None, "latency_ms": None}, {"name": "untimed", "accuracy": 0.5}]
    plot_accuracy_latency(tmp_path / "two.png", rows)
    plot_accuracy_latency(tmp_path / "only-two.png", points(2))
    plot_accuracy_latency(tmp_path / "none.png", [])
    assert (tmp_path / "two.png").read_bytes() == (tmp_path / "only-two.png").read_bytes()
    assert cv2.imread(str(tmp_path / "none.png")).std() < cv2.imread(str(tmp_path / "two.png")).std()
