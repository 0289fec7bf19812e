"""The pages tell of the repository as it is: files, links, routes; and no file tells where it was made."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from models.clinical.quarantine import Reason
from service.app import create_app
from service.settings import Settings

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = [*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").rglob("*.md")]
ARCHITECTURE = (REPOSITORY / "docs" / "architecture.md").read_text(encoding="utf-8")
API = (REPOSITORY / "docs" / "api.md").read_text(encoding="utf-8")
FOLDERS = ("prodrome", "models", "db", "pipelines", "service", "benchmarks")

# written in pieces, because this file is read too
PLACES = ("/wo" + "rk/", "/ro" + "ot/", "/ho" + r"me/(?!prodrome\b)", "py" + r"pi\.", "index-" + "url")
NOT_OURS = re.compile("|".join(PLACES))


def tracked() -> list[Path]:
    """Every text file that is committed."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--eol"], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    rows = (row.split("\t") for row in listed.stdout.split("\0") if row)
    return [REPOSITORY / name for attributes, name in rows if "w/-text" not in attributes]


def test_nothing_committed_names_a_place_of_its_making() -> None:
    files = [file for file in tracked() if file.is_file()]
    assert REPOSITORY / "README.md" in files
    named = {
        str(file.relative_to(REPOSITORY)): found[0]
        for file in files
        if (found := NOT_OURS.search(file.read_text(encoding="utf-8")))
    }
    assert named == {}


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_architecture_page_names_every_file_or_its_folder(folder: str) -> None:
    for file in (REPOSITORY / folder).rglob("*.py"):
        inside = file.relative_to(REPOSITORY / folder)
        covered = {f"`{inside}`", f"`{file.name}`", *(f"`{part}/`" for part in inside.parts[:-1])}
        assert file.name == "__init__.py" or any(name in ARCHITECTURE for name in covered), inside


def test_the_architecture_page_names_no_file_that_is_gone() -> None:
    present = {file.name for folder in FOLDERS for file in (REPOSITORY / folder).rglob("*.py")}
    named = re.findall(r"`(?:[\w/]+/)?(\w+\.py)`", ARCHITECTURE)
    assert set(named) - present == set()


def test_every_link_leads_somewhere_and_every_page_is_reached() -> None:
    reached = set()
    for page in PAGES:
        for link in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
            if "://" not in link:
                assert (page.parent / link).exists(), f"{page.name}: {link}"
                reached.add((page.parent / link).resolve())
    missing = [page for page in PAGES if page not in reached and page.parent not in reached]
    assert missing == [REPOSITORY / "README.md"]


def routes_on_page() -> dict[tuple[str, str], str]:
    """(method, path) of each heading to its section, for `## GET /a, /b` and `## POST /a/b | c`."""
    found = {}
    for section in re.split(r"^## ", API, flags=re.MULTILINE)[1:]:
        method, paths = section.splitlines()[0].split("  (")[0].split(" ", 1)
        first, *others = re.split(r", | \| ", paths.strip())
        base = first.rsplit("/", 1)[0]
        for path in (first, *(other if other[0] == "/" else f"{base}/{other}" for other in others)):
            found[method, path] = section
    return found


def test_the_api_page_has_every_route_and_question_and_no_other() -> None:
    described = create_app(Settings(database_url="sqlite:///never-opened.db")).openapi()["paths"]
    on_page = routes_on_page()
    assert set(on_page) == {
        (method.upper(), path) for path, methods in described.items() for method in methods
    }
    for path, methods in described.items():
        for method, operation in methods.items():
            for parameter in operation.get("parameters", []):
                assert parameter["name"] in on_page[method.upper(), path], f"{path}: {parameter['name']}"


def test_the_api_page_has_every_reason_for_a_rejection() -> None:
    (listed,) = re.findall(r"^Reasons: `([^`]*)`", API, flags=re.MULTILINE)
    # a repeated row is answered `duplicate`, and every row names its stay
    assert set(listed.split()) == set(Reason) - {Reason.DUPLICATE, Reason.OUTSIDE_STAY}
