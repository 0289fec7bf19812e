"""Contacts of electrodes as people name them: by shaft, neighbours as a range."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from models.clinical.recording import Channel


def by_shaft(names: Iterable[str]) -> dict[str, list[str]]:
    """Names grouped by shaft (`A'` of `A'12`), shafts as they first come, contacts by number.

    Names that tell no contact stand under "".
    """
    groups: dict[str, list[tuple[int, str]]] = {}
    for name in names:
        channel = Channel(name, 1.0)
        groups.setdefault(channel.shaft, []).append((channel.contact or 0, name))
    return {
        shaft: [name for _, name in (sorted(found) if shaft else found)] for shaft, found in groups.items()
    }


def contact_ranges(names: Iterable[str]) -> list[str]:
    """`LA3`, `LA5`, `LA4`, `LB1` as `LA3–LA5`, `LB1`."""  # noqa: RUF002 the dash of a range
    ranges: list[str] = []
    for found in by_shaft(dict.fromkeys(names)).values():
        run: list[str] = []
        for name in found:
            if run and not _neighbours(run[-1], name):
                ranges.append(_written(run))
                run = []
            run.append(name)
        ranges.append(_written(run))
    return ranges


def _neighbours(one: str, other: str) -> bool:
    first, second = Channel(one, 1.0).contact, Channel(other, 1.0).contact
    return first is not None and second is not None and second - first == 1


def _written(run: Sequence[str]) -> str:
    return run[0] if len(run) == 1 else f"{run[0]}–{run[-1]}"  # noqa: RUF001 the dash of a range
