"""Every setting of the service: one frozen object, built at start from `PRODROME_…` variables or keywords."""

from __future__ import annotations

from datetime import UTC
from typing import Annotated, Self

from pydantic import AfterValidator, AwareDatetime, Field, HttpUrl, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from models.clinical.errors import InvalidInput

ENVIRONMENT_PREFIX = "PRODROME_"
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")

Instant = Annotated[AwareDatetime, AfterValidator(lambda moment: moment.astimezone(UTC))]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Hours = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Port = Annotated[int, Field(ge=1, le=65535)]


class Settings(BaseSettings):
    """What an operator may set. Each field is the environment variable `PRODROME_<FIELD>`."""

    model_config = SettingsConfigDict(env_prefix=ENVIRONMENT_PREFIX, frozen=True, extra="ignore")

    database_url: str = Field(default="sqlite:///var/prodrome.db", min_length=1)
    host: str = Field(default="127.0.0.1", min_length=1)
    port: Port = 8000
    # 8 MiB hold about 60,000 observations: far above a bedside gateway's batch, far below what hurts memory
    body_limit_bytes: int = Field(default=8 * 1024 * 1024, ge=1024)

    model: str = Field(default="default", min_length=1)
    likeness_model: str = Field(default="dtw", min_length=1)
    policy_file: str | None = Field(default=None, min_length=1)
    policy_threshold: Share | None = None
    policy_release: Share | None = None
    policy_k: int = Field(default=1, ge=1)
    policy_n: int = Field(default=1, ge=1)
    policy_refractory_hours: Hours = 6
    policy_on_delay_hours: Hours = 0
    policy_off_delay_hours: Hours = 0

    seizure_policy_file: str | None = Field(default=None, min_length=1)

    scoring_url: HttpUrl = HttpUrl("http://127.0.0.1:8001")
    scoring_timeout_seconds: float = Field(default=30, gt=0, allow_inf_nan=False)
    lease_seconds: float = Field(default=15, ge=1, allow_inf_nan=False)

    clock_start: Instant | None = None
    clock_anchor: Instant | None = None
    clock_speed: float = Field(default=1, gt=0, le=100_000, allow_inf_nan=False)

    outbox_keep_hours: float = Field(default=2, gt=0, allow_inf_nan=False)

    @model_validator(mode="after")
    def _policy_is_possible(self) -> Self:
        if self.policy_k > self.policy_n:
            raise ValueError(f"policy_k {self.policy_k} of policy_n {self.policy_n}: k must not exceed n")
        threshold, release = self.policy_threshold, self.policy_release
        if threshold is not None and release is not None and release > threshold:
            raise ValueError(f"policy_release {release} must not exceed policy_threshold {threshold}")
        return self

    @model_validator(mode="after")
    def _policy_has_one_source(self) -> Self:
        others = sorted(name for name in self.model_fields_set if name.startswith("policy_"))
        if self.policy_file is not None and others != ["policy_file"]:
            named = next(name for name in others if name != "policy_file")
            raise ValueError(f"policy_file is the whole policy: unset {named} or policy_file")
        return self

    @model_validator(mode="after")
    def _ports_are_two(self) -> Self:
        """The web process and the worker's scoring endpoint cannot listen on one port of one machine."""
        if self.scoring_url.port == self.port and self.scoring_url.host in {self.host, *LOOPBACK}:
            raise ValueError(
                f"scoring_url {self.scoring_url} must not be port {self.port}, the web process's own"
            )
        return self

    @model_validator(mode="after")
    def _clock_is_shared(self) -> Self:
        """Processes agree on a simulated time only if they agree on the wall instant it started at."""
        if (self.clock_start is None) != (self.clock_anchor is None):
            raise ValueError("clock_start and clock_anchor belong together: set both or neither")
        if self.clock_start is None and self.clock_speed != 1:
            raise ValueError(f"clock_speed {self.clock_speed} needs clock_start and clock_anchor")
        return self

    @classmethod
    def from_environment(cls, **given: object) -> Self:
        """Settings from the environment; keywords win. Raises InvalidInput naming each bad variable."""
        try:
            return cls(**given)  # type: ignore[arg-type]
        except ValidationError as error:
            raise InvalidInput("; ".join(_sentence(fault) for fault in error.errors())) from None


def _sentence(fault: object) -> str:
    assert isinstance(fault, dict)
    name = "_".join(str(part) for part in fault["loc"]).upper()
    where = f"{ENVIRONMENT_PREFIX}{name}={fault['input']!r}: " if name else ""
    return f"{where}{fault['msg'].removeprefix('Value error, ')}"
