"""The alarm policy in force: the operator's settings or file over the model's or detector's own threshold."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from models.clinical.alarm import SEIZURE_POLICY, AlarmPolicy, seizure_policy_at
from models.clinical.errors import InvalidInput, UnreadableSource
from service.settings import Settings

_STATED = "stated_threshold"


def policy_of(settings: Settings, model_threshold: float) -> AlarmPolicy:
    """The policy these settings describe.

    Raises InvalidInput where they contradict the model's threshold, UnreadableSource for a bad policy file.
    """
    if settings.policy_file is not None:
        return read_policy(Path(settings.policy_file))
    threshold = settings.policy_threshold
    return AlarmPolicy(
        threshold=model_threshold if threshold is None else threshold,
        release=settings.policy_release,
        k=settings.policy_k,
        n=settings.policy_n,
        refractory=timedelta(hours=settings.policy_refractory_hours),
        on_delay=timedelta(hours=settings.policy_on_delay_hours),
        off_delay=timedelta(hours=settings.policy_off_delay_hours),
    )


@dataclass(frozen=True)
class SeizurePolicy:
    """An operator's policy of seizure alerts, and name and version of the detector it was chosen for.

    Scores of another detector mean something else at its threshold. A file that names none is for any.
    """

    policy: AlarmPolicy
    chosen_for: str = ""

    def judges(self, detector: str, version: str) -> bool:
        """Whether it is meant for the scores of this detector."""
        return self.chosen_for in {"", f"{detector} {version}"}

    def require(self, detector: str, version: str) -> None:
        """Raise InvalidInput unless it `judges` this detector."""
        if not self.judges(detector, version):
            raise InvalidInput(
                f"the policy was chosen for {self.chosen_for}, not for {detector} {version}",
                value=f"{detector} {version}",
                bound=self.chosen_for,
            )


def seizure_policy_of(settings: Settings) -> SeizurePolicy | None:
    """The operator's policy of seizure alerts; None where a detector's own holds. Raises UnreadableSource."""
    if settings.seizure_policy_file is None:
        return None
    return read_seizure_policy(Path(settings.seizure_policy_file))


def read_seizure_policy(path: Path) -> SeizurePolicy:
    """The policy of a file such as `prodrome choose-seizure-policy` writes. Raises UnreadableSource."""
    policy, chosen = _read(path)
    named = f"{chosen['model']} {chosen['version']}" if {"model", "version"} <= set(chosen) else ""
    return SeizurePolicy(replace(policy, condition=SEIZURE_POLICY.condition), named)


def stated_threshold(held: Mapping[str, Any] | None) -> float | None:
    """The threshold that a detector stated, out of the facts kept with its version; None where it did not."""
    stated = (held or {}).get(_STATED)
    return None if stated is None else float(stated)


def detector_policy(
    operators: SeizurePolicy | None, detector: str, version: str, stated: float | None
) -> AlarmPolicy:
    """What judges a detector's scores: the operator's policy where it is meant for them, else the ward's at
    the threshold the detector stated.
    """
    if operators is not None and operators.judges(detector, version):
        return operators.policy
    return SEIZURE_POLICY if stated is None else seizure_policy_at(stated)


def detector_facts(policy: AlarmPolicy, stated: float | None, not_by: str = "") -> dict[str, Any]:
    """What is kept with a detector's version: its policy, the threshold it stated, if any, and whose policy
    the operator's is, where it is another's.
    """
    facts = policy_facts(policy) | ({} if stated is None else {_STATED: stated})
    return facts | ({"operators_policy_is_for": not_by} if not_by else {})


def read_policy(path: Path) -> AlarmPolicy:
    """The policy of a file such as `prodrome choose-policy` writes. Raises UnreadableSource."""
    return _read(path)[0]


def _read(path: Path) -> tuple[AlarmPolicy, Mapping[str, Any]]:
    """The policy of a file, and how it was chosen where that is told."""
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        facts = facts if isinstance(facts, dict) else {}
        policy = AlarmPolicy.from_json(facts)
    except (OSError, ValueError) as error:  # InvalidInput and what json raises are ValueErrors
        raise UnreadableSource(f"{path}: expected an alarm policy as JSON, but {error}") from error
    chosen = facts.get("chosen")
    return policy, chosen if isinstance(chosen, dict) else {}


def policy_facts(policy: AlarmPolicy) -> dict[str, Any]:
    """The policy as the board shows it; equal versions alarm alike."""
    facts: dict[str, Any] = policy.as_json()
    # a policy without delays keeps the version it had before there were any
    telling = {name: one for name, one in facts.items() if one or not name.endswith("_delay_hours")}
    digest = hashlib.sha256(json.dumps(telling, sort_keys=True).encode()).hexdigest()
    return facts | {"version": digest[:12]}
