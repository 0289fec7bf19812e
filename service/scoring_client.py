"""The web process's line to the worker: models answer there, because the web process holds none."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from service.problems import ScoringRefused, ScoringUnavailable

if TYPE_CHECKING:
    import httpx


class ScoringClient:
    """Asks the worker's internal endpoint."""

    def __init__(self, url: str, timeout_seconds: float) -> None:
        self._url, self._timeout_seconds = url, timeout_seconds

    def ask(self, question: str, body: dict[str, Any]) -> dict[str, Any]:
        """The worker's answer to `question`: score, posterior, explain, inquire or liken.

        Raises ScoringUnavailable when no worker answers in time, ScoringRefused with the worker's own
        problem details when it refuses.
        """
        from httpx import TransportError  # noqa: PLC0415 see _client

        try:
            response = self._client.post(f"/{question}", json=body)
        except TransportError as error:
            raise ScoringUnavailable(
                f"no scoring worker answers ({type(error).__name__}); is one running?"
            ) from None
        if not response.is_success:
            raise ScoringRefused(response.status_code, response.content)
        answer: dict[str, Any] = response.json()
        return answer

    def close(self) -> None:
        """Give the connections back."""
        if "_client" in vars(self):
            self._client.close()

    @cached_property
    def _client(self) -> httpx.Client:
        # httpx brings a command line and a syntax highlighter with it: not while the service starts
        from httpx import Client  # noqa: PLC0415

        return Client(base_url=self._url, timeout=self._timeout_seconds, trust_env=False)
