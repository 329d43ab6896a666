"""A report as blocks, and the same blocks as Markdown or as one HTML file that needs nothing else and runs nothing.

Whatever an agent wrote, and every name, is hostile: it becomes text that Markdown and HTML show as it is. The HTML forbids scripts and whatever
is not in the file itself, pictures are in it as data.
"""

from __future__ import annotations

import base64
import html
import io
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from sandbox.log import printable

# Everything that Markdown, or a viewer that links bare addresses, could read as more than text.
_MARKS = re.compile(r"[\\`*_{}\[\]#!~$@^]|:(?!\s|$)|(?<=www)\.", re.IGNORECASE)
_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "&#124;"})  # safe in a viewer that knows no backslashes too
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_STYLE = """body{font:15px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem;color:#111;background:#fff}
table{border-collapse:collapse;margin:.5rem 0 1.5rem;font-variant-numeric:tabular-nums}th,td{border:1px solid #ccc;padding:.2rem .55rem;text-align:left;vertical-align:top;overflow-wrap:anywhere}
th{background:#f2f2f2}img{max-width:100%;height:auto}figcaption{color:#444}pre{white-space:pre-wrap;background:#f7f7f7;padding:.8rem}"""


@dataclass(frozen=True)
class Head:
    """The beginning of a part; `level` 1 is the page's own."""

    text: str
    level: int = 2


@dataclass(frozen=True)
class Text:
    """A paragraph. `trusted`: ours, Markdown and all; otherwise shown as it is."""

    text: str
    trusted: bool = False


@dataclass(frozen=True)
class Table:
    """A frame; every cell is shown as it is."""

    frame: pd.DataFrame


@dataclass(frozen=True)
class Lines:
    """Lines as a terminal shows them, each as it is."""

    lines: tuple[str, ...]


@dataclass(frozen=True)
class Plot:
    """A figure, which stands as plots/NAME.png beside the report."""

    name: str
    figure: Figure
    told: str = ""  # what it shows, for those who cannot see it


Block = Head | Text | Table | Lines | Plot


def as_markdown(blocks: Sequence[Block]) -> str:
    """The blocks as Markdown; plots as links."""
    lines: list[str] = []
    for block in blocks:
        if isinstance(block, Head):
            lines += [f"{'#' * block.level} {markdown(block.text)}", ""]
        elif isinstance(block, Text):
            lines += [block.text if block.trusted else markdown(block.text), ""]
        elif isinstance(block, Table):
            lines += [*table(block.frame), ""]
        elif isinstance(block, Lines):
            lines += [*(f"- {markdown(line)}" for line in block.lines), ""]
        else:
            lines += [f"![{block.name}](plots/{block.name}.png)", "", *([markdown(block.told), ""] if block.told else [])]
    return "\n".join(lines).rstrip() + "\n"


def as_html(title: str, blocks: Sequence[Block]) -> str:
    """The blocks as one HTML file."""
    body = "\n".join(_html(block) for block in blocks)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><title>{escaped(title)}</title><style>{_STYLE}</style></head>\n<body>\n{body}\n</body></html>\n'
    )


def _html(block: Block) -> str:
    if isinstance(block, Head):
        return f"<h{block.level}>{escaped(block.text)}</h{block.level}>"
    if isinstance(block, Text):
        return f"<p>{escaped(block.text)}</p>"
    if isinstance(block, Table):
        head = "".join(f"<th>{escaped(str(column))}</th>" for column in block.frame.columns)
        rows = "".join("<tr>" + "".join(f"<td>{_cell(cell)}</td>" for cell in row) + "</tr>\n" for row in block.frame.itertuples(index=False))
        return f"<table><thead><tr>{head}</tr></thead><tbody>\n{rows}</tbody></table>"
    if isinstance(block, Lines):
        return "<pre>" + "\n".join(map(escaped, block.lines)) + "</pre>"
    told = escaped(block.told or block.name)
    return f'<figure><img alt="{told}" src="data:image/png;base64,{base64.b64encode(png(block.figure)).decode("ascii")}"><figcaption>{told}</figcaption></figure>'


def png(figure: Figure) -> bytes:
    """A figure as PNG."""
    out = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # a name in a script the font lacks is still a name
        FigureCanvasAgg(figure).print_png(out)
    return out.getvalue()


def escaped(text: str) -> str:
    """A text that HTML shows as it is, in an attribute too, on one line."""
    return html.escape(printable(text), quote=True)


def _cell(cell: object) -> str:
    return "–" if cell is None or cell != cell else escaped(str(cell))


def table(frame: pd.DataFrame) -> list[str]:
    """A frame as lines of a Markdown table, every cell escaped."""
    head = "| " + " | ".join(markdown(str(column)) for column in frame.columns) + " |"
    rows = ["| " + " | ".join("–" if cell is None or cell != cell else markdown(str(cell)) for cell in row) + " |" for row in frame.itertuples(index=False)]
    return [head, "|" + " --- |" * len(frame.columns), *rows]


def markdown(text: str) -> str:
    """A text that Markdown shows as it is, on one line."""
    return _MARKS.sub(lambda mark: f"\\{mark[0]}", printable(text)).translate(_ENTITIES)
