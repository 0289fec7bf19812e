"""The one mapping from errors to HTTP: RFC 9457 problem details, without internals."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import OperationalError
from starlette.exceptions import HTTPException

from db.queries.alerts import AlertClosed, UnknownAlert
from db.queries.stays import StayConflict
from models.clinical.errors import InvalidInput

_log = logging.getLogger(__name__)

PROBLEM = "application/problem+json"

_SHAPE = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "value": {"description": "What was given"},
        "bound": {"type": "string", "description": "What would have been accepted"},
        "unit": {"type": "string"},
    },
}

# how every route may fail, for the description of the API
PROBLEM_ANSWERS: dict[int | str, dict[str, Any]] = {
    status: {
        "description": f"{whose} error, as RFC 9457 problem details",
        "content": {PROBLEM: {"schema": _SHAPE}},
    }
    for status, whose in (("4XX", "The caller's"), ("5XX", "The service's"))
}


class NotFound(Exception):
    """There is no such stay, alert or model output."""


class ScoringUnavailable(Exception):
    """No worker answered on the internal address."""


class ScoringRefused(Exception):
    """The worker refused a request, with problem details of its own."""

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(status)
        self.status = status
        self.body = body


def problem(status: int, detail: str, **members: object) -> JSONResponse:
    """A problem-details answer; `members` that are None or empty are left out."""
    phrase = HTTPStatus(status).phrase
    body: dict[str, object] = {
        "type": "urn:prodrome:problem:" + phrase.lower().replace(" ", "-"),
        "title": phrase,
        "status": status,
        "detail": readable(detail, 2000),
    }
    body |= {name: jsonable(member) for name, member in members.items() if member not in (None, "")}
    return JSONResponse(body, status, media_type=PROBLEM)


def jsonable(value: object) -> object:
    """`value` if strict JSON can carry it, else its text: NaN, an infinity, half a character, an object."""
    if value is None or isinstance(value, bool) or (isinstance(value, float) and math.isfinite(value)):
        return value
    # JavaScript reads integers as doubles
    if isinstance(value, int) and abs(value) < 2**53:
        return value
    return readable(value)


def readable(value: object, limit: int = 200) -> str:
    """Any value as text that every database and encoding takes: no NUL, no lone surrogate, `limit` long."""
    if isinstance(value, datetime):
        value = value.isoformat()
    text = value if isinstance(value, str) else repr(value)
    shown = text[:limit].replace("\x00", "\N{REPLACEMENT CHARACTER}")
    return shown.encode("utf-8", "replace").decode("utf-8")


def install_problem_details(app: FastAPI) -> None:
    """Answer every error of `app` as problem details."""

    @app.exception_handler(InvalidInput)
    def invalid(_: Request, error: InvalidInput) -> JSONResponse:
        return problem(422, str(error), value=error.value, bound=error.bound, unit=error.unit)

    @app.exception_handler(UnknownAlert)
    @app.exception_handler(NotFound)
    def missing(_: Request, error: Exception) -> JSONResponse:
        return problem(404, str(error))

    @app.exception_handler(ScoringUnavailable)
    def unavailable(_: Request, error: ScoringUnavailable) -> JSONResponse:
        return problem(503, str(error))

    @app.exception_handler(ScoringRefused)
    def refused_by_worker(_: Request, error: ScoringRefused) -> Response:
        return Response(error.body, error.status, media_type=PROBLEM)

    @app.exception_handler(StayConflict)
    @app.exception_handler(AlertClosed)
    def contradicting(_: Request, error: Exception) -> JSONResponse:
        return problem(409, str(error))

    @app.exception_handler(RequestValidationError)
    def unreadable(request: Request, error: RequestValidationError) -> JSONResponse:
        return _wrong_kind(request, error) or _validation_problem(error)

    @app.exception_handler(HTTPException)
    def refused(_: Request, error: HTTPException) -> JSONResponse:
        unread = error.status_code == HTTPStatus.BAD_REQUEST and error.__cause__ is not None
        detail = _unread(error.__cause__) if unread else str(error.detail)
        answer = problem(error.status_code, detail)
        answer.headers.update(error.headers or {})
        return answer

    @app.exception_handler(OperationalError)
    def storage(request: Request, error: OperationalError) -> JSONResponse:
        _log.error("%s %s: storage failed", request.method, request.url.path, exc_info=error)
        return problem(503, "the storage did not take the request; nothing of it was stored; retry")

    @app.exception_handler(Exception)
    def unforeseen(_: Request, __: Exception) -> JSONResponse:
        return problem(500, "an internal error; nothing of the request was stored")


def _unread(cause: BaseException | None) -> str:
    """Why a body could not be read at all."""
    if isinstance(cause, RecursionError):
        return "the body is nested too deeply to be read; nothing of it was stored"
    if isinstance(cause, UnicodeDecodeError):
        return f"the body is not UTF-8 at byte {cause.start}; nothing of it was stored"
    return "the body holds a number of too many digits to be read; nothing of it was stored"


def _wrong_kind(request: Request, error: RequestValidationError) -> JSONResponse | None:
    """415 for a body that was not read because it is not said to be JSON."""
    kind = request.headers.get("content-type", "")
    refused = any(fault["loc"] == ("body",) and fault["type"] != "missing" for fault in error.errors())
    essence = kind.split(";")[0].strip().lower()
    if not refused or essence == "application/json" or essence.endswith("+json"):
        return None
    return problem(415, f"the body came as {kind!r}", value=kind or "none", bound="application/json")


def _bound(context: Mapping[str, object]) -> str:
    """The bound that a validation fault broke, as `<= 24`, or what was expected."""
    signs = {"gt": ">", "ge": ">=", "lt": "<", "le": "<="}
    bounds = [f"{sign} {context[name]}".removesuffix(".0") for name, sign in signs.items() if name in context]
    lengths = {"min_length": ">=", "max_length": "<="}
    bounds += [f"{sign} {context[name]} characters" for name, sign in lengths.items() if name in context]
    return ", ".join(bounds) or str(context.get("expected", ""))


def _validation_problem(error: RequestValidationError) -> JSONResponse:
    faults = error.errors()
    first = faults[0]
    if first["type"] == "json_invalid":
        position = first["loc"][-1]
        return problem(400, f"the body is no JSON: {first['ctx']['error']} at character {position}")
    where = ".".join(str(part) for part in first["loc"])
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    given = first.get("input")
    value = None if isinstance(given, dict | list | bytes) else given
    detail = f"{where}: {first['msg'].removeprefix('Value error, ')}{more}"
    return problem(422, detail, value=value, bound=_bound(first.get("ctx", {})))
