"""Screens: keyboard, phone, themes, contrast, the past, paper."""

import json
import re

import pytest
from playwright.sync_api import Page, expect

from .conftest import CALM, SICK, Desk, Service, screenshot

pytestmark = pytest.mark.browser

AA_TEXT, AA_GRAPHICS = 4.5, 3.0
TEXT_ON = {  # token of a text colour -> tokens of the surfaces it is used on
    "text": ("ground", "surface", "raised"),
    "quiet": ("ground", "surface", "raised"),
    "good": ("surface",),
    "accent-text": ("accent",),
    "trouble-text": ("trouble",),
}
GRAPHICS_ON = {"control": ("ground", "surface"), "mean": ("ground",), "focus": ("ground", "surface")}
MARKS = ("high", "medium", "low", "technical")


def luminance(colour: str) -> float:
    """Relative luminance of `#rrggbb` (WCAG 2.2)."""
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def tokens(page: Page, names: set[str]) -> dict[str, str]:
    found: dict[str, str] = page.evaluate(
        "names => Object.fromEntries(names.map((name) => "
        "[name, getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim()]))",
        sorted(names),
    )
    return found


@pytest.fixture(scope="module")
def sick(service: Service) -> str:
    """A stay with a long history and an alert."""
    stay = service.admit("21", hours_ago=12)
    for hours in range(1, 12):
        service.observe(stay, CALM | {"heart_rate": (70 + 3 * (12 - hours), "1/min")}, minutes_ago=60 * hours)
    service.observe(stay, SICK)
    service.wait_scored(stay)
    return stay


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_colours_reach_the_contrast_of_wcag_aa(service: Service, desk: Desk, theme: str) -> None:
    page = desk.open(service.url)
    page.locator(".beds").wait_for()
    if theme == "light":
        page.get_by_role("button", name="Light").click()
    used = {name for pairs in (TEXT_ON, GRAPHICS_ON) for name, on in pairs.items() for name in (name, *on)}
    colour = tokens(page, used | set(MARKS) | {"mark-edge"})
    ratios = {
        (name, surface): (contrast(colour[name], colour[surface]), least)
        for pairs, least in ((TEXT_ON, AA_TEXT), (GRAPHICS_ON, AA_GRAPHICS))
        for name, surfaces in pairs.items()
        for surface in surfaces
    }
    for mark in MARKS:  # a mark is seen by its fill, or by its edge where the fill is pale
        edge = colour[mark] if colour["mark-edge"] == "transparent" else colour["mark-edge"]
        best = max(contrast(fill, colour["surface"]) for fill in (colour[mark], edge))
        ratios[mark, "surface"] = best, AA_GRAPHICS
    assert {pair: ratio for pair, (ratio, least) in ratios.items() if ratio < least} == {}
    assert len({colour[mark] for mark in MARKS}) == len(MARKS)


def test_the_whole_path_by_keyboard(service: Service, desk: Desk, sick: str) -> None:
    stay = service.admit("22")
    service.observe(stay, SICK)
    service.wait_scored(stay)
    page = desk.open(service.url)
    page.locator(".beds").wait_for()
    page.keyboard.press("?")
    keys = page.get_by_role("dialog", name="Keys")
    expect(keys).to_be_visible()
    page.keyboard.press("Escape")
    expect(keys).to_have_count(0)  # it gives the focus back as it goes
    page.keyboard.press("/")
    expect(page.get_by_label("Find a bed")).to_be_focused()
    page.keyboard.type("22")
    page.keyboard.press("Enter")
    tile = page.locator(f".tile[data-stay={stay}]")
    expect(tile).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(tile).not_to_be_focused()
    page.keyboard.press("ArrowLeft")
    expect(tile).to_be_focused()
    page.keyboard.press("a")
    expect(tile.locator(".stage")).to_contain_text("acknowledged JK")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Bed 22")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator(".beds")).to_be_visible()


@pytest.mark.parametrize("path", ["", "#/stay/stay-21"])
def test_nothing_is_wider_than_a_phone(service: Service, desk: Desk, sick: str, path: str) -> None:
    page = desk.open(f"{service.url}/{path}", width=390, height=844, has_touch=True, is_mobile=True)
    page.locator(".stay figure canvas" if path else ".tile").first.wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    button = page.get_by_role("button", name=re.compile("^Acknowledge")).first
    box = button.bounding_box()
    assert box is not None
    assert box["height"] >= 38  # a finger
    screenshot(page, "phone-stay" if path else "phone-board")


def test_flashing_stops_for_those_who_asked_for_less_motion(service: Service, desk: Desk, sick: str) -> None:
    page = desk.open(service.url, reduced_motion="reduce")
    mark = page.locator(f"[data-row={sick}] .mark.high")
    assert mark.evaluate("element => getComputedStyle(element).animationName") == "none"


def test_the_stay_as_it_was_known_then_and_back(service: Service, desk: Desk, sick: str) -> None:
    page = desk.open(f"{service.url}/#/stay/{sick}")
    page.locator("figure[data-variable=heart_rate] canvas").wait_for()
    screenshot(page, "stay")
    newest = page.locator("figure[data-variable=heart_rate] .reading")
    expect(newest).to_contain_text("124 ↑ /min")
    page.locator("figure[data-variable=heart_rate] .u-over").click(position={"x": 350, "y": 20})
    expect(page.locator(".as-of")).to_contain_text("As known at")
    expect(newest).not_to_contain_text("124")
    expect(page.locator("aside")).to_contain_text("This is a past picture")
    screenshot(page, "stay-as-of")
    page.get_by_role("link", name="Back to now").click()
    expect(page.locator(".as-of")).to_have_count(0)
    expect(newest).to_contain_text("124 ↑ /min")


def test_the_source_of_a_score_is_one_click_away(service: Service, desk: Desk, sick: str) -> None:
    page = desk.open(f"{service.url}/#/stay/{sick}")
    page.get_by_text("Source and configuration").click()
    expect(page.locator(".source")).to_contain_text("news2")
    policy = page.locator(".source dd code").last.inner_text()
    assert json.loads(policy)["threshold"] == 0.25


def test_the_board_prints_black_on_white_without_controls(service: Service, desk: Desk, sick: str) -> None:
    page = desk.open(service.url)
    page.locator(f"[data-row={sick}]").wait_for()
    page.emulate_media(media="print")
    assert (
        page.locator("html").evaluate("element => getComputedStyle(element).backgroundColor")
        == "rgb(255, 255, 255)"
    )
    expect(page.locator(".tools")).to_be_hidden()
    expect(page.locator("footer")).to_contain_text("Not a certified medical device")


def test_light_and_dark_are_remembered(service: Service, desk: Desk, sick: str) -> None:
    page = desk.open(service.url)
    page.locator(".tile").first.wait_for()
    screenshot(page, "board-dark")
    page.get_by_role("button", name="Light").click()
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "light")
    page.locator(".tile").first.wait_for()
    screenshot(page, "board-light")
