"""The report: one HTML page that holds all it needs, and lets the browser ask nobody for anything.

Everything that comes out of a file (labels, paths, ids) reaches the page through Jinja's autoescape. Should something
get past it all the same, the page's own policy runs no script and applies no style but the two whose hashes it names.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

from mmtsa_cli import __version__
from mmtsa_cli.reporting.charts import Chart

GENERATOR = "mmtsa report"
"""What the page says it was made by, in a `meta` element near its beginning."""


@dataclass(frozen=True)
class Figure:
    """A headline figure: its name, its value in [0, 1] with a 95 % interval (low, high), and a remark."""

    name: str
    value: float
    interval: tuple[float, float]
    remark: str = ""


@dataclass(frozen=True)
class Table:
    """A table as text.

    Attributes
    ----------
    title : str
    heads : sequence of str
    rows : sequence of sequence of str
        An empty cell has no value.
    right : sequence of bool
        Columns of numbers.
    published : sequence of bool
        Columns that were not measured here but printed by a publication.
    notes : sequence of str
    """

    title: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    right: Sequence[bool]
    published: Sequence[bool] = ()
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Confusion:
    """Counts of clips by true and predicted class: `counts[true][predicted]`."""

    classes: Sequence[str]
    counts: Sequence[Sequence[int]]

    @property
    def size(self) -> str:
        """How much room a cell gets, by the number of classes: a class of the page's style."""
        return next((name for name, most in (("roomy", 16), ("close", 30)) if len(self.classes) <= most), "dense")


@dataclass(frozen=True)
class ClassScore:
    """What is reached on one class; figures in [0, 1], `clips` of it in the test part."""

    name: str
    f1: float
    interval: tuple[float, float]
    precision: float
    recall: float
    clips: int


@dataclass(frozen=True)
class Sheet:
    """A contact sheet: a JPEG whose rows are modalities and whose columns are segments."""

    jpeg: bytes
    width: int
    height: int
    rows: Sequence[str]
    columns: Sequence[str]

    @property
    def address(self) -> str:
        """The picture as a `data:` address."""
        return "data:image/jpeg;base64," + base64.b64encode(self.jpeg).decode("ascii")


@dataclass(frozen=True)
class Mistake:
    """A wrong prediction; `confidence` in its class, `true_part` the probability of the true one."""

    clip: str
    subject: str
    fold: str
    true: str
    predicted: str
    confidence: float
    true_part: float
    sheet: Sheet | None = None


@dataclass(frozen=True)
class Origin:
    """How a directory was made.

    Attributes
    ----------
    facts : sequence of (name, value)
        Seed, protocol and the like.
    versions, inputs : sequence of (name, version or hash)
    command : str
        That makes it again, by the recipe where there is one.
    remarks : sequence of str
    recipe : str
        YAML; empty where there is none.
    """

    facts: Sequence[tuple[str, str]]
    versions: Sequence[tuple[str, str]]
    inputs: Sequence[tuple[str, str]]
    command: str
    remarks: Sequence[str] = ()
    recipe: str = ""


@dataclass(frozen=True)
class Section:
    """What is shown of one directory; what it has no data for is empty.

    Attributes
    ----------
    stage, path, title : str
    origin : Origin
    lead : str
        A sentence below the title.
    figures : sequence of Figure
    remarks : sequence of str
        Below the figures.
    tables : sequence of Table
    curves : sequence of (name of a fold, sequence of Chart)
    confusion : Confusion, optional
    classes : sequence of ClassScore
    robustness, condition_tables : sequence of Chart, of Table
        Under other conditions than those of the test clips.
    reliability, reliability_below, calibration : sequence of Chart, str, Table
        Diagrams, what they show, errors before and after a temperature where one was fitted.
    mistakes : sequence of Mistake
    mistakes_below : str
        How many there are, and why there are no pictures where there are none; empty where nothing was predicted.
    picture, picture_says : str
        A `data:` address, or empty, and what it shows.
    """

    stage: str
    path: str
    title: str
    origin: Origin
    lead: str = ""
    figures: Sequence[Figure] = ()
    remarks: Sequence[str] = ()
    tables: Sequence[Table] = ()
    curves: Sequence[tuple[str, Sequence[Chart]]] = ()
    confusion: Confusion | None = None
    classes: Sequence[ClassScore] = ()
    robustness: Sequence[Chart] = ()
    condition_tables: Sequence[Table] = ()
    reliability: Sequence[Chart] = ()
    reliability_below: str = ""
    calibration: Table | None = None
    mistakes: Sequence[Mistake] = ()
    mistakes_below: str = ""
    picture: str = ""
    picture_says: str = ""


def render(title: str, sections: Sequence[Section]) -> bytes:
    """Return the page, in UTF-8.

    Parameters
    ----------
    title : str
    sections : sequence of Section
        In their order on the page.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("mmtsa_cli.reporting"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["share"] = _share
    environment.filters["shade"] = _shade
    style, script = (_asset(name) for name in ("page.css", "page.js"))
    text = environment.get_template("page.html.j2").render(
        title=title,
        sections=sections,
        version=__version__,
        generator=GENERATOR,
        # The only two that are not escaped: files of this package.
        style=Markup(style),
        script=Markup(script),
        policy=_policy(style, script),
    )
    # A path need not be text in any encoding.
    return text.encode("utf-8", "replace")


def _asset(name: str) -> str:
    return (resources.files("mmtsa_cli.reporting") / "templates" / name).read_text(encoding="utf-8")


def _policy(style: str, script: str) -> str:
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii") for text in (style, script)]
    return (
        f"default-src 'none'; style-src 'sha256-{hashes[0]}'; script-src 'sha256-{hashes[1]}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _share(value: float) -> str:
    """Return a part as the per cent of a length in SVG, within [0, 100]."""
    return f"{100 * min(1.0, max(0.0, value)):.2f}%"


def _shade(count: int, total: int) -> int:
    """Return how dark a cell is, 1 to 10, by its part of the row."""
    return min(10, max(1, round(10 * count / total))) if total else 1
