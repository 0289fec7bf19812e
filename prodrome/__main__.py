"""The command line: the one folder that sees both doors. Each command imports what it needs when it runs."""

from __future__ import annotations

import sys

import typer

from models.clinical.errors import EarlyWarningError

from . import evaluating, feeding, label, metrics, reading, scoring, serving, train
from .terminal import say

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
for group in (serving, reading, scoring, evaluating, feeding):
    app.add_typer(group.commands)
for name, group in [("metrics", metrics), ("label", label), ("train", train)]:
    app.add_typer(group.commands, name=name)


@app.callback()
def main() -> None:
    """Clinical early warning: irregular ICU data in, scores and alerts out; no certified medical device."""


def command_line() -> None:
    """The `prodrome` command: what a caller did wrong is one sentence, not a traceback."""
    try:
        app()
    except EarlyWarningError as error:
        say(f"prodrome: {error}")
        sys.exit(2)


if __name__ == "__main__":
    command_line()
