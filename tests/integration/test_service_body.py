"""A body above the limit is refused by what arrives, and never held."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator

import httpx
import pytest

MEGABYTE = bytes(1_000_000)
JSON = {"content-type": "application/json"}

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def hundred_megabytes() -> Iterator[bytes]:
    """A body of unknown length, made as it is sent."""
    for _ in range(100):
        yield MEGABYTE


@pytest.mark.parametrize("declared", [True, False])
def test_a_hundred_megabytes_are_refused_and_not_held(api: httpx.Client, declared: bool) -> None:
    headers = JSON | ({"content-length": "100000000"} if declared else {})
    tracemalloc.start()
    try:
        refused = api.post("/v1/observations", content=hundred_megabytes(), headers=headers)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (refused.status_code, refused.json()["status"]) == (413, 413)
    assert refused.headers["content-type"] == "application/problem+json"
    assert "8388608 bytes" in refused.json()["detail"]
    assert peak_bytes < 40_000_000
    assert api.get("/health/live").status_code == 200


def test_the_limit_itself_is_taken(api: httpx.Client) -> None:
    limit = 8 * 1024 * 1024
    batch = b'{"observations": []}'
    assert api.post("/v1/observations", content=batch.ljust(limit), headers=JSON).status_code == 200
    assert api.post("/v1/observations", content=batch.ljust(limit + 1), headers=JSON).status_code == 413
    chunks = (batch.ljust(limit // 2), b" " * (limit // 2), b" ")
    assert api.post("/v1/observations", content=iter(chunks), headers=JSON).status_code == 413


def test_a_declared_length_that_lies_is_counted(api: httpx.Client) -> None:
    answer = api.post("/v1/score", content=iter([MEGABYTE] * 9), headers=JSON)
    assert answer.status_code == 413
