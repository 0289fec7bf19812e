"""A table of a TOML file as its dataclass: every name known, every value of its field's type."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from pathlib import Path
from types import NoneType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from models.clinical.errors import InvalidInput

_Settings = TypeVar("_Settings")

_CALLED = {int: "whole number", float: "number", str: "text", Path: "path"}
_LARGEST = 2**53  # beyond it a float no longer tells whole numbers apart


def made(kind: type[_Settings], held: object, where: str) -> _Settings:
    """`held` as a `kind`: lists become tuples, and what is the text of a path becomes one.

    Raises InvalidInput that names key, value and what was expected, and whatever `kind` itself refuses.
    """
    if not isinstance(held, Mapping):
        raise InvalidInput(f"{where} {held!r}; expected a table of settings", value=held)
    hints = get_type_hints(kind)
    if unknown := sorted(set(held) - set(hints)):
        raise InvalidInput(f"{where}: unknown {', '.join(unknown)}; there are: {', '.join(sorted(hints))}")
    for name, value in held.items():
        if expected := _lacking(value, hints[name]):
            bound = f"a {expected}"
            raise InvalidInput(f"{where}: {name} {value!r}; expected {bound}", value=value, bound=bound)
    return kind(**{name: _converted(value, hints[name]) for name, value in held.items()})


def made_all(kind: type[_Settings], held: object, where: str) -> tuple[_Settings, ...]:
    """A list of tables, each as a `kind`."""
    if not isinstance(held, list):
        raise InvalidInput(f"{where} {held!r}; expected tables, each headed [[{where}]]", value=held)
    return tuple(made(kind, one, where) for one in held)


def bounded(name: str, value: object, good: bool, bound: str) -> None:
    """Raises InvalidInput, naming key, value and bound, unless the value is `good`."""
    if not good:
        raise InvalidInput(f"{name} {value}; expected {bound}", value=value, bound=bound)


def _lacking(value: object, kind: Any) -> str:
    """What `kind` asks for where `value` is none; nothing where it is, or where its class says it better."""
    kind = _given(kind)
    if get_origin(kind) is tuple:
        inner = get_args(kind)[0]
        if inner not in _CALLED:
            return ""
        good = isinstance(value, list | tuple) and not any(_lacking(one, inner) for one in value)
        return "" if good else f"list of {_CALLED[inner]}s"
    return "" if kind not in _CALLED or _is(value, kind) else _CALLED[kind]


def _is(value: object, kind: type) -> bool:
    if kind in (str, Path):
        return isinstance(value, str)
    if isinstance(value, bool) or not isinstance(value, int if kind is int else int | float):
        return False
    return -_LARGEST <= value <= _LARGEST and isfinite(value)


def _converted(value: Any, kind: Any) -> Any:
    if isinstance(value, list):
        return tuple(value)
    return Path(value) if _given(kind) is Path else value


def _given(kind: Any) -> Any:
    """What a field that may be None is otherwise."""
    known = [one for one in get_args(kind) if one is not NoneType]
    return known[0] if NoneType in get_args(kind) and len(known) == 1 else kind
