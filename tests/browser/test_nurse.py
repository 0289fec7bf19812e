"""The paths of a nurse: a new alert arrives, is opened, acknowledged and judged; a bed without a score."""

import re

import pytest
from playwright.sync_api import Page, expect

from .conftest import CALM, SICK, Desk, Service, screenshot, until

pytestmark = pytest.mark.browser


def animation(page: Page, selector: str) -> str:
    name: str = page.locator(selector).first.evaluate("element => getComputedStyle(element).animationName")
    return name


def raise_alert(service: Service, bed: str) -> str:
    stay = service.admit(bed)
    service.observe(stay, SICK)
    until(lambda: service.tile(stay)["alert"] is not None, f"an alert of bed {bed}")
    return stay


def test_a_new_alert_arrives_live_is_opened_acknowledged_and_steady(service: Service, desk: Desk) -> None:
    stay = service.admit("07")
    service.observe(stay, CALM, minutes_ago=90)
    service.wait_scored(stay)
    page = desk.open(service.url)
    row, tile = f"[data-row={stay}]", f".tile[data-stay={stay}]"
    expect(page.locator(tile)).not_to_have_class(re.compile("is-high"))
    expect(page.locator(row)).to_have_count(0)

    service.observe(stay, SICK)
    expect(page.locator(f"{row} .new")).to_have_text("new")
    expect(page.locator("[aria-live]")).to_contain_text("New high priority alert: bed 07")
    expect(page.locator(f"{row} .evidence")).to_contain_text("SBP")
    assert animation(page, f"{row} .mark") == animation(page, f"{tile} .mark") == "flash"
    screenshot(page, "board-new-alert")

    page.locator(row).get_by_role("link", name="Open bed 07").click()
    expect(page.get_by_role("heading", name="Bed 07")).to_be_visible()
    page.get_by_role("button", name="Acknowledge").click()
    expect(page.locator(".history")).to_contain_text("acknowledged by JK")
    screenshot(page, "stay-acknowledged")

    page.locator(".stay-head").get_by_role("link").click()
    expect(page.locator(f"{row} .stage")).to_contain_text("acknowledged JK")
    assert animation(page, f"{row} .mark") == animation(page, f"{tile} .mark") == "none"
    assert service.tile(stay)["alert"]["acknowledged_by"] == "JK"


def test_acknowledged_on_the_board_a_row_keeps_no_trace_of_flashing(service: Service, desk: Desk) -> None:
    first, second = raise_alert(service, "41"), raise_alert(service, "42")
    page = desk.open(service.url)
    stages = [page.locator(f"[data-row={stay}] .stage") for stay in (first, second)]
    weight = "element => getComputedStyle(element).fontWeight"
    assert [stage.evaluate(weight) for stage in stages] == ["600", "600"]
    for bed in ("41", "42"):
        page.get_by_role("button", name=f"Acknowledge bed {bed}").click()
    for stage in stages:
        expect(stage).to_contain_text("acknowledged JK")
    assert [stage.evaluate(weight) for stage in stages] == ["400", "400"]
    assert animation(page, f"[data-row={first}] .mark") == "none"


def test_pending_until_the_service_answers_and_a_refusal_is_told(
    service: Service, desk_with_trouble: Desk
) -> None:
    stay = raise_alert(service, "43")
    page = desk_with_trouble.open(service.url)
    page.locator(f"[data-row={stay}]").wait_for()
    page.context.set_offline(True)
    page.get_by_role("button", name="Acknowledge bed 43").click()
    expect(page.locator(f"[data-row={stay}] .failed")).to_have_text(
        "Not acknowledged: the service does not answer"
    )
    assert service.tile(stay)["alert"]["acknowledged_by"] is None
    page.context.set_offline(False)
    page.get_by_role("button", name="Acknowledge bed 43").click()
    expect(page.locator(f"[data-row={stay}] .stage")).to_contain_text("acknowledged JK")


def test_initials_are_asked_for_once(service: Service, desk: Desk) -> None:
    stay = raise_alert(service, "44")
    page = desk.open(service.url, initials="")
    page.get_by_role("button", name="Acknowledge bed 44").click()
    page.get_by_label("Initials", exact=True).fill("mw")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(f"[data-row={stay}] .stage")).to_contain_text("acknowledged MW")
    page.reload()
    expect(page.get_by_role("button", name="MW")).to_be_visible()


def test_judged_shelved_with_a_reason_and_noted(service: Service, desk: Desk) -> None:
    stay = raise_alert(service, "45")
    page = desk.open(f"{service.url}/#/stay/{stay}")
    page.get_by_text("Add a note…").click()
    page.get_by_label("Note").fill("cultures taken")
    page.get_by_role("button", name="Add note").click()
    expect(page.locator(".history")).to_contain_text("note by JK cultures taken")
    page.get_by_role("button", name="unsure").click()
    expect(page.locator(".history")).to_contain_text("judged by JK unsure")
    page.get_by_text("Shelve…").click()
    page.get_by_label("Because").fill("in theatre")
    page.get_by_role("combobox", name="for").select_option("1 h")
    page.get_by_role("button", name="Shelve", exact=True).click()
    expect(page.locator(".history")).to_contain_text("shelved by JK in theatre, until")
    page.locator(".stay-head").get_by_role("link").click()
    expect(page.locator(f"[data-row={stay}]")).to_have_count(0)
    expect(page.locator(f".tile[data-stay={stay}] .stage")).to_contain_text("shelved until")
    expect(page.locator(".needs h2")).to_contain_text("1 shelved")


def test_a_bed_without_a_score_is_neither_calm_nor_ill(service: Service, desk: Desk) -> None:
    stay = service.admit("46")
    service.observe(stay, {"heart_rate": CALM["heart_rate"]})
    until(lambda: "needs" in service.tile(stay)["score"]["reason"], "the reason why there is no score")
    page = desk.open(service.url)
    tile = page.locator(f".tile[data-stay={stay}]")
    expect(tile.locator(".score")).to_have_text("—")
    expect(tile.get_by_role("img", name="technical: no score")).to_be_visible()
    expect(tile.locator(".sparkline")).to_have_count(0)
    row = page.locator(f"[data-row={stay}]")
    expect(row).to_contain_text("No score")
    expect(row.locator(".reason").first).to_contain_text("respiratory rate")


def test_synthetic_people_are_marked_everywhere(service: Service, desk: Desk) -> None:
    stay = service.admit("47", synthetic=True)
    service.observe(stay, SICK)
    page = desk.open(service.url)
    expect(page.locator(f".tile[data-stay={stay}] .synthetic")).to_be_visible()
    expect(page.locator(f"[data-row={stay}] .synthetic")).to_be_visible()
    expect(page.locator("header .synthetic-mark")).to_have_text("SYNTHETIC")
    page.goto(f"{service.url}/#/stay/{stay}")
    expect(page.locator(".stay-head .synthetic-mark")).to_have_text("SYNTHETIC")
