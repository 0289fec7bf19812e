"""The alarm policy in force: the operator's settings or file over the model's own threshold."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from models.clinical.alarm import SEIZURE_POLICY, AlarmPolicy
from models.clinical.errors import UnreadableSource
from service.settings import Settings


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


def seizure_policy_of(settings: Settings) -> AlarmPolicy:
    """The policy of seizure alerts: the operator's file, or `SEIZURE_POLICY`. Raises UnreadableSource."""
    if settings.seizure_policy_file is None:
        return SEIZURE_POLICY
    return replace(read_policy(Path(settings.seizure_policy_file)), condition=SEIZURE_POLICY.condition)


def read_policy(path: Path) -> AlarmPolicy:
    """The policy of a file such as `prodrome choose-policy` writes. Raises UnreadableSource."""
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        return AlarmPolicy.from_json(facts if isinstance(facts, dict) else {})
    except (OSError, ValueError) as error:  # InvalidInput and what json raises are ValueErrors
        raise UnreadableSource(f"{path}: expected an alarm policy as JSON, but {error}") from error


def policy_facts(policy: AlarmPolicy) -> dict[str, Any]:
    """The policy as the board shows it; equal versions alarm alike."""
    facts: dict[str, Any] = policy.as_json()
    # a policy without delays keeps the version it had before there were any
    telling = {name: one for name, one in facts.items() if one or not name.endswith("_delay_hours")}
    digest = hashlib.sha256(json.dumps(telling, sort_keys=True).encode()).hexdigest()
    return facts | {"version": digest[:12]}
