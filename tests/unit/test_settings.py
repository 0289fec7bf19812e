"""Settings: what the environment says, and what it must not say."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from models.clinical.errors import InvalidInput
from service.settings import ENVIRONMENT_PREFIX, Settings

DOCUMENTATION = Path(__file__).parents[2] / "docs" / "settings.md"


def test_the_page_lists_every_setting_with_its_default() -> None:
    rows = re.findall(r"^\| `PRODROME_(\w+)` \| (.*?) \|", DOCUMENTATION.read_text(encoding="utf-8"), re.M)
    documented = {name.lower(): default for name, default in rows}
    assert set(documented) == set(Settings.model_fields)
    for name, field in Settings.model_fields.items():
        if field.default is not None:
            shown = re.sub(r"\.0$|/$", "", str(field.default))
            assert documented[name] == f"`{shown}`", name


def test_the_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRODROME_PORT", "8123")
    monkeypatch.setenv("PRODROME_CLOCK_START", "2026-11-22T10:00:00+02:00")
    monkeypatch.setenv("PRODROME_CLOCK_ANCHOR", "2026-01-01T00:00:00Z")
    settings = Settings.from_environment(port=8124)
    assert settings.port == 8124  # keywords win
    assert settings.clock_start == datetime(2026, 11, 22, 8, tzinfo=UTC)
    assert settings.clock_start.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("PORT", "99999", "PRODROME_PORT='99999'"),
        ("PORT", "http", "PRODROME_PORT='http'"),
        ("POLICY_THRESHOLD", "1.2", "PRODROME_POLICY_THRESHOLD='1.2'"),
        ("POLICY_THRESHOLD", "nan", "PRODROME_POLICY_THRESHOLD='nan'"),
        ("POLICY_K", "2", "k must not exceed n"),
        ("POLICY_ON_DELAY_HOURS", "-1", "PRODROME_POLICY_ON_DELAY_HOURS='-1'"),
        ("CLOCK_SPEED", "360", "needs clock_start"),
        ("CLOCK_START", "2026-11-22T10:00:00", "PRODROME_CLOCK_START"),
        ("CLOCK_START", "2026-11-22T10:00:00Z", "belong together"),
        ("PORT", "8001", "must not be port 8001"),
        ("SCORING_URL", "worker", "PRODROME_SCORING_URL='worker'"),
        ("BODY_LIMIT_BYTES", "0", "PRODROME_BODY_LIMIT_BYTES='0'"),
    ],
)
def test_a_bad_value_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    monkeypatch.setenv(ENVIRONMENT_PREFIX + name, value)
    with pytest.raises(InvalidInput, match=re.escape(said)):
        Settings.from_environment()


def test_release_above_threshold_is_refused() -> None:
    with pytest.raises(ValidationError, match="must not exceed policy_threshold"):
        Settings(policy_threshold=0.3, policy_release=0.4)


def test_a_policy_file_is_the_whole_policy() -> None:
    with pytest.raises(ValidationError, match="unset policy_k or policy_file"):
        Settings(policy_file="policy.json", policy_k=1)


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Settings().port = 1
