"""The API page under the service's strict policy and on a closed network: it shows and sends the examples."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from .conftest import Desk, Service, screenshot

pytestmark = pytest.mark.browser


def test_the_api_page_needs_nothing_from_elsewhere(service: Service, desk: Desk) -> None:
    page = desk.open(f"{service.url}/docs")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.reload()
    operation = page.locator("details", has_text="/v1/score")
    operation.locator("summary").click()
    operation.get_by_role("button", name="Send").click()
    expect(operation.get_by_role("status")).to_contain_text("200 application/json")
    expect(operation.get_by_role("status")).to_contain_text('"scores"')
    assert page.locator("details").count() == 21
    assert [url for url in asked if not url.startswith(service.url)] == []
    screenshot(page, "api_page")
