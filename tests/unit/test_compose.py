"""docker-compose.yml says what the command line and the settings understand."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from prodrome.__main__ import app
from service.settings import Settings

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def services() -> dict[str, dict[str, Any]]:
    compose: dict[str, Any] = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text(encoding="utf-8"))
    found: dict[str, dict[str, Any]] = compose["services"]
    return found


@pytest.mark.parametrize("name", ["migrate", "worker", "web"])
def test_command_exists(services: dict[str, dict[str, Any]], name: str) -> None:
    commands = get_command(app).commands  # type: ignore[attr-defined]
    assert services[name]["command"][0] in commands


def test_environment_is_settings(services: dict[str, dict[str, Any]]) -> None:
    given = {key for name in ("migrate", "worker", "web") for key in services[name]["environment"]}
    assert given <= {f"PRODROME_{field}".upper() for field in Settings.model_fields}


def test_only_loopback_is_published_and_no_password_is_written(services: dict[str, dict[str, Any]]) -> None:
    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert ports == ["127.0.0.1:8000:8000"]
    assert services["database"]["environment"]["POSTGRES_PASSWORD"].startswith("${PRODROME_DB_PASSWORD:?")


def test_database_is_healthy_and_migrated_before_anybody_writes(services: dict[str, dict[str, Any]]) -> None:
    assert services["migrate"]["depends_on"]["database"]["condition"] == "service_healthy"
    for name in ("worker", "web"):
        assert services[name]["depends_on"]["migrate"]["condition"] == "service_completed_successfully"
