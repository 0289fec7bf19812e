"""The little Markdown of a model card as HTML: headings, paragraphs, tables, lists, bold, italics and code.

Of a link its text is left. Everything else is text and is escaped.
"""

from __future__ import annotations

import re
from itertools import groupby

from markupsafe import Markup, escape

_KINDS = (("#", "heading"), ("|", "table"), ("- ", "list"), ("    ", "code"))
_RULE = re.compile(r"[|\s:-]+")


def html_of(text: str) -> Markup:
    """Markdown as HTML whose headings begin at the third level."""
    parts = []
    for kind, lines in groupby(_joined(text), key=_kind):
        held = list(lines)
        if kind == "heading":
            parts += [_heading(line) for line in held]
        elif kind == "table":
            parts.append(_table(held))
        elif kind == "list":
            items = "".join(f"<li>{_inline(line[2:])}</li>" for line in held)
            parts.append(f"<ul>{items}</ul>")
        elif kind == "code":
            code = "\n".join(line[4:] for line in held)
            parts.append(f"<pre>{escape(code)}</pre>")
        elif kind == "text":
            parts += [f"<p>{_inline(line)}</p>" for line in held]
    return Markup("\n".join(parts))  # noqa: S704  every text was escaped


def _kind(line: str) -> str:
    if not line.strip():
        return "nothing"
    return next((kind for sign, kind in _KINDS if line.startswith(sign)), "text")


def _joined(text: str) -> list[str]:
    """Lines that go on in the next one, as one."""
    lines: list[str] = []
    for line in text.splitlines():
        goes_on = lines and _kind(lines[-1]) in {"text", "list"} and _kind(line) in {"text", "code"}
        if goes_on:
            lines[-1] = f"{lines[-1]} {line.strip()}"
        else:
            lines.append(line)
    return lines


def _heading(line: str) -> str:
    level = min(len(line) - len(line.lstrip("#")) + 2, 6)
    return f"<h{level}>{_inline(line.lstrip('# '))}</h{level}>"


def _table(lines: list[str]) -> str:
    rows = [line.strip().strip("|").split("|") for line in lines if not _RULE.fullmatch(line)]
    cells = ["".join(f"<td>{_inline(cell.strip())}</td>" for cell in row) for row in rows]
    return (
        "<table class=card>"
        + "".join(f"<tr>{row}</tr>" for row in cells if row != "<td></td><td></td>")
        + "</table>"
    )


def _inline(text: str) -> str:
    safe = str(escape(text))
    safe = re.sub(r"`([^`]+)`", r"<code>\1</code>", safe)
    safe = re.sub(r"\*\*([^*]+)\*\*", r"<b>\1</b>", safe)
    safe = re.sub(r"\[([^\]]+)\]\([^)\s]+\)", r"\1", safe)  # the page has no files beside it to lead to
    return re.sub(r"\*([^*\s][^*]*)\*", r"<i>\1</i>", safe)
