"""The policy in force: from settings, or from the file that `prodrome choose-policy` wrote."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from models.clinical.alarm import SEIZURE_POLICY, AlarmPolicy, seizure_policy_at
from models.clinical.errors import InvalidInput, UnreadableSource
from models.mvpa import MVPAConfig, MVPFormer
from models.mvpa.detector import Detector, DetectorConfig
from pipelines.detect import policy_of as policy_of_detector
from service.policy import (
    SeizurePolicy,
    detector_facts,
    detector_policy,
    policy_facts,
    policy_of,
    read_seizure_policy,
    seizure_policy_of,
    stated_threshold,
)
from service.settings import Settings

DELAYED = AlarmPolicy(0.4, 0.3, 2, 3, timedelta(hours=2), on_delay=timedelta(hours=1))


def test_settings_over_the_threshold_of_the_model() -> None:
    assert policy_of(Settings(), 0.2) == AlarmPolicy(0.2)
    given = Settings(policy_threshold=0.4, policy_on_delay_hours=1.5, policy_off_delay_hours=2)
    delayed = AlarmPolicy(0.4, on_delay=timedelta(hours=1.5), off_delay=timedelta(hours=2))
    assert policy_of(given, 0.2) == delayed


def test_a_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "policy.json"
    path.write_text(json.dumps(DELAYED.as_json() | {"chosen": "by budget"}), encoding="utf-8")
    assert policy_of(Settings(policy_file=str(path)), 0.9) == DELAYED


@pytest.mark.parametrize("text", ["", "[]", "{}", "threshold: 0.5", '{"threshold": 2}'])
def test_a_file_that_is_no_policy_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "policy.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UnreadableSource, match=r"policy\.json: expected an alarm policy"):
        policy_of(Settings(policy_file=str(path)), 0.5)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnreadableSource, match=r"absent\.json"):
        policy_of(Settings(policy_file=str(tmp_path / "absent.json")), 0.5)


def test_equal_versions_alarm_alike_and_those_of_before_delays_are_kept() -> None:
    plain = policy_facts(AlarmPolicy(0.25))
    assert plain["version"] == policy_facts(AlarmPolicy(0.25, 0.25, on_delay=timedelta(0)))["version"]
    assert plain["version"] == "14a19b2a78a9"
    assert (
        policy_facts(DELAYED)["version"]
        != policy_facts(AlarmPolicy(0.4, 0.3, 2, 3, timedelta(hours=2)))["version"]
    )


def test_seizures_are_judged_at_the_ward_as_detect_judges_them() -> None:
    detector = Detector(MVPFormer(MVPAConfig(8, 1, 2, 1, 8, 8, 4, 80)), DetectorConfig(4, 1, threshold=0.957))
    judged = detector_policy(seizure_policy_of(Settings()), "mvpa", detector.version, detector.threshold)
    assert judged == policy_of_detector(detector)
    assert (judged.threshold, judged.released_below) == (0.957, 0.9 * 0.957)
    assert detector_policy(None, "mvpa", "1", None) == SEIZURE_POLICY
    assert stated_threshold(detector_facts(judged, 0.957)) == 0.957
    assert stated_threshold(detector_facts(judged, None)) is None


def test_the_operators_policy_of_seizures_comes_first(tmp_path: Path) -> None:
    path = tmp_path / "seizures.json"
    path.write_text(json.dumps(DELAYED.as_json()))
    operators = seizure_policy_of(Settings(seizure_policy_file=str(path)))
    assert operators == SeizurePolicy(replace(DELAYED, condition="seizure"))
    assert detector_policy(operators, "mvpa", "1", 0.957) == operators.policy


def test_a_policy_of_seizures_judges_the_detector_it_was_chosen_for_alone(tmp_path: Path) -> None:
    path = tmp_path / "seizures.json"
    path.write_text(json.dumps(DELAYED.as_json() | {"chosen": {"model": "mvpa", "version": "a1"}}))
    operators = read_seizure_policy(path)
    operators.require("mvpa", "a1")
    assert detector_policy(operators, "mvpa", "a1", 0.957) == operators.policy
    for name, version in (("mvpa", "b2"), ("line-length", "a1")):
        assert detector_policy(operators, name, version, 0.957) == seizure_policy_at(0.957)
        with pytest.raises(
            InvalidInput, match=f"the policy was chosen for mvpa a1, not for {name} {version}"
        ):
            operators.require(name, version)
