"""The alarm policy in force: the operator's settings over the model's own threshold."""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta
from typing import Any

from models.clinical.alarm import AlarmPolicy
from service.settings import Settings


def policy_of(settings: Settings, model_threshold: float) -> AlarmPolicy:
    """The policy these settings describe. Raises InvalidInput where they contradict the model's threshold."""
    threshold = settings.policy_threshold
    return AlarmPolicy(
        threshold=model_threshold if threshold is None else threshold,
        release=settings.policy_release,
        k=settings.policy_k,
        n=settings.policy_n,
        refractory=timedelta(hours=settings.policy_refractory_hours),
    )


def policy_facts(policy: AlarmPolicy) -> dict[str, Any]:
    """The policy as the board shows it; equal versions alarm alike."""
    facts: dict[str, Any] = {
        "threshold": policy.threshold,
        "release": policy.released_below,
        "k": policy.k,
        "n": policy.n,
        "refractory_hours": policy.refractory / timedelta(hours=1),
    }
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
    return facts | {"version": digest[:12]}
