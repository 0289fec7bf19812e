"""The command line: the one file that sees both doors. Each command imports what it needs when it runs."""

import typer

app = typer.Typer(no_args_is_help=True, add_completion=False)


@app.callback()
def main() -> None:
    """Clinical early warning: irregular ICU data and iEEG in, scores and alerts out."""
