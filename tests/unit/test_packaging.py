"""The four generic package names resolve inside this repository, and nobody else provides them."""

from importlib import import_module
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]


@pytest.mark.parametrize("name", ["models", "db", "pipelines", "service", "prodrome"])
def test_name_is_ours_alone(name: str) -> None:
    assert REPOSITORY in Path(str(import_module(name).__file__)).parents
    assert set(packages_distributions().get(name, ["prodrome"])) == {"prodrome"}


@pytest.mark.parametrize("package", ["models", "db", "pipelines", "service"])
def test_package_is_typed(package: str) -> None:
    assert (REPOSITORY / package / "py.typed").is_file()
