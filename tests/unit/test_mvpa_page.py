"""The page on the transformer says what its code gives."""

import doctest
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "mvpa.md"


def test_the_examples_give_what_the_page_says() -> None:
    failed, attempted = doctest.testfile(
        str(PAGE), module_relative=False, optionflags=doctest.NORMALIZE_WHITESPACE
    )
    assert attempted > 0
    assert failed == 0
