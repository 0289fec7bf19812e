"""The web application as it is made: what it imports, what it describes, what its page may load."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.exceptions import HTTPException

from models.clinical.errors import InvalidInput
from service.app import create_app
from service.problems import install_problem_details, jsonable, readable
from service.settings import Settings

HEAVY = {"torch", "numba", "tslearn", "gpytorch", "pandas", "scipy", "sklearn", "pint"}


@pytest.fixture
def app(tmp_path: Path) -> FastAPI:
    """An application that never starts: nothing connects."""
    return create_app(Settings(database_url=f"sqlite:///{tmp_path / 'prodrome.db'}"))


def ask(app: FastAPI, method: str, path: str, **given: Any) -> httpx.Response:
    """One request through the application's own interface."""

    async def asked() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://prodrome") as client:
            return await client.request(method, path, **given)

    # in a thread of its own: a browser test's event loop lives in this one until the session ends
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(asked())).result()


def test_the_web_process_imports_no_model_library() -> None:
    program = (
        "import json, sys, service.app; print(json.dumps([name for name in sys.modules if '.' not in name]))"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True)
    imported = set(json.loads(told.stdout))
    assert "fastapi" in imported
    assert not imported & HEAVY


def test_making_an_application_touches_no_database(app: FastAPI, tmp_path: Path) -> None:
    assert ask(app, "GET", "/health/live").json() == {"status": "live"}
    assert list(tmp_path.iterdir()) == []


def test_every_route_is_described(app: FastAPI) -> None:
    described = [operation for methods in app.openapi()["paths"].values() for operation in methods.values()]
    assert described
    assert all(operation["description"] for operation in described)


def test_every_request_body_has_an_example(app: FastAPI) -> None:
    schema = app.openapi()
    bodies = [
        operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].rsplit("/", 1)[-1]
        for operations in schema["paths"].values()
        for operation in operations.values()
        if "requestBody" in operation
    ]
    assert len(bodies) == 8
    for name in bodies:
        assert schema["components"]["schemas"][name]["examples"], name


def test_the_board_loads_nothing_from_elsewhere(app: FastAPI) -> None:
    page = ask(app, "GET", "/")
    assert page.headers["cache-control"] == "no-cache"
    policy = dict(part.strip().split(" ", 1) for part in page.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == policy["script-src"] == "'self'"
    assert "unsafe" not in page.headers["content-security-policy"]
    assert not re.findall(r"<script(?![^>]*src=)|\son\w+=|https?://", page.text)
    assert ask(app, "GET", "/v1/nothing").headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("raised", "status", "said"),
    [
        (InvalidInput("900 1/min is outside", value=900, bound="[10, 300]", unit="1/min"), 422, "outside"),
        (HTTPException(418, "tea"), 418, "tea"),
        (RuntimeError("password=secret"), 500, "internal error"),
    ],
)
def test_errors_are_problem_details_without_internals(raised: Exception, status: int, said: str) -> None:
    app = FastAPI()
    install_problem_details(app)

    @app.get("/fails")
    def fails() -> None:
        raise raised

    answer = ask(app, "GET", "/fails")
    body = answer.json()
    assert (answer.status_code, body["status"]) == (status, status)
    assert answer.headers["content-type"] == "application/problem+json"
    assert body["type"].startswith("urn:prodrome:problem:")
    assert said in body["detail"]
    assert "secret" not in answer.text
    if isinstance(raised, InvalidInput):
        assert (body["value"], body["bound"], body["unit"]) == (900, "[10, 300]", "1/min")


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (1.5, 1.5),
        (7, 7),
        (True, True),
        ("a", "a"),
        (float("nan"), "nan"),
        (2**60, str(2**60)),
        ("\ud800", "?"),
    ],
)
def test_any_value_fits_into_json(value: object, told: object) -> None:
    assert jsonable(value) == told
    json.dumps(jsonable(value), allow_nan=False).encode()


def test_a_long_text_is_cut_and_holds_no_nul() -> None:
    assert len(readable("x" * 1_000_000)) == 200
    assert "\x00" not in readable("a\x00b")
