"""The web process's line to the worker: models answer there, because the web process holds none."""

from __future__ import annotations

from typing import Any

import httpx

from service.problems import ScoringRefused, ScoringUnavailable


class ScoringClient:
    """Asks the worker's internal endpoint."""

    def __init__(self, url: str, timeout_seconds: float) -> None:
        self._client = httpx.Client(base_url=url, timeout=timeout_seconds, trust_env=False)

    def ask(self, question: str, body: dict[str, Any]) -> dict[str, Any]:
        """The worker's answer to `question`: score, posterior or explain.

        Raises ScoringUnavailable when no worker answers in time, ScoringRefused with the worker's own
        problem details when it refuses.
        """
        try:
            response = self._client.post(f"/{question}", json=body)
        except httpx.TransportError as error:
            raise ScoringUnavailable(
                f"no scoring worker answers ({type(error).__name__}); is one running?"
            ) from None
        if response.is_success:
            answer: dict[str, Any] = response.json()
            return answer
        raise ScoringRefused(response.status_code, response.content)

    def close(self) -> None:
        """Give the connections back."""
        self._client.close()
