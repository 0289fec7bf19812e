"""A bad night: the feed is cut, the service restarts, the board's own program fails, the list moves."""

import re

import pytest
from playwright.sync_api import expect

from .conftest import CALM, SICK, Desk, Service, screenshot, until

pytestmark = pytest.mark.browser

STALE = re.compile(r"STALE since \d\d:\d\d:\d\d")
SILENCE_MS = 40_000  # the board allows 20 s; the machine may be busy


def test_a_cut_feed_is_a_bar_over_an_old_picture_and_a_restart_brings_what_was_missed(
    own_service: Service, desk_with_trouble: Desk
) -> None:
    stay = own_service.admit("07")
    own_service.observe(stay, CALM, minutes_ago=90)
    own_service.wait_scored(stay)
    page = desk_with_trouble.open(own_service.url)
    expect(page.locator(".feed")).to_contain_text("feed live")
    expect(page.locator(".trouble")).to_have_count(0)

    own_service.stop("serve")
    expect(page.locator(".trouble")).to_contain_text(STALE, timeout=SILENCE_MS)
    expect(page.locator(".feed")).to_contain_text("feed silent")
    old = page.locator("main").evaluate("element => getComputedStyle(element).filter")
    assert "grayscale" in old
    expect(page.locator(f".tile[data-stay={stay}]")).to_be_visible()
    screenshot(page, "board-stale")

    own_service.start("serve")
    until(own_service.is_ready, "the service after its restart")
    own_service.observe(stay, SICK)
    expect(page.locator(".trouble")).to_have_count(0, timeout=SILENCE_MS)
    expect(page.locator(f"[data-row={stay}] .new")).to_be_visible(timeout=SILENCE_MS)


def test_the_first_paint_is_tried_again_until_the_service_is_there(
    service: Service, desk_with_trouble: Desk
) -> None:
    page = desk_with_trouble.open("about:blank")
    page.route("**/v1/stays", lambda route: route.abort())
    page.goto(service.url)
    expect(page.locator(".loading")).to_contain_text("the service does not answer")
    page.unroute("**/v1/stays")
    expect(page.locator(".beds")).to_be_visible()


def test_an_error_in_the_board_itself_is_said_over_the_picture(
    service: Service, desk_with_trouble: Desk
) -> None:
    page = desk_with_trouble.open(service.url)
    page.locator(".beds").wait_for()
    page.evaluate("setTimeout(() => { throw new Error('broken') })")
    expect(page.locator(".trouble")).to_contain_text("The board itself has failed and starts again")


def test_the_order_waits_while_a_hand_is_on_the_list(service: Service, desk: Desk) -> None:
    low, high = service.admit("31", unit="6C"), service.admit("32", unit="6C")
    service.observe(low, CALM | {"heart_rate": (125, "1/min")})
    service.observe(high, CALM)
    service.wait_scored(low)
    service.wait_scored(high)
    page = desk.open(service.url)
    page.get_by_label("Unit").select_option("6C")
    tiles = page.locator(".tile .bed")
    expect(tiles).to_have_text(["31", "32"])

    page.locator(f".tile[data-stay={low}]").hover()
    service.observe(high, CALM | {"heart_rate": (135, "1/min")}, minutes_ago=11)
    expect(page.locator(f".tile[data-stay={high}] .score")).to_have_text("0.15")
    expect(tiles).to_have_text(["31", "32"])
    expect(page.locator(".beds .waits")).to_be_visible()

    page.mouse.move(5, 5)
    expect(tiles).to_have_text(["32", "31"])
    expect(page.locator(".beds .waits")).to_have_count(0)
