"""A model small enough to be made in a test, and stays to ask it about."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from models.calibration import Calibration
from models.clinical.stay import Stay, observation_table
from models.clinical.variables import CATALOGUE
from models.fitting import start
from models.mgp.standardise import VARIABLES, Standardisation, fit_standardisation
from models.mgp_tcn import MGPTCN, Learnt
from models.network import MGPTCNConfig
from models.tcn import TCNConfig

ADMITTED = datetime(2026, 3, 1, 7, 30, tzinfo=UTC)
MEASURED = (*VARIABLES[:8], "lactate", "creatinine", "wbc")
TINY = MGPTCNConfig(
    temporal=("matern12",),
    lengthscale_hours=(6.0,),
    rank=2,
    reader=TCNConfig(channels=8, dilations=(1, 2)),
    draws=4,
)

TinyModel = Callable[..., MGPTCN]
RandomStay = Callable[..., Stay]


@pytest.fixture(scope="session")
def standardisation() -> Standardisation:
    """Learnt from the normal ranges, of every variable but end-tidal carbon dioxide."""
    values = {name: np.linspace(*CATALOGUE[name].normal, 120) for name in VARIABLES}
    return fit_standardisation({name: some for name, some in values.items() if name != "end_tidal_co2"})


@pytest.fixture(scope="session")
def tiny(standardisation: Standardisation) -> TinyModel:
    """`tiny(**changes)` of the configuration: random weights of a fixed seed, a steep calibration."""

    def make(**changes: object) -> MGPTCN:
        config = replace(TINY, **changes)  # type: ignore[arg-type]
        network = start(config, standardisation, 1)
        return MGPTCN(config, Learnt(network, standardisation, Calibration(slope=4.0), 0.5, {}))

    return make


@pytest.fixture(scope="session")
def random_stay() -> RandomStay:
    """`random_stay(seed, hours, rows)`: late, simultaneous and repeated results, some before admission."""

    def make(seed: int, hours: int = 20, rows: int = 90) -> Stay:
        random = np.random.default_rng(seed)
        minutes = random.integers(-40, 60 * hours, rows)
        late = np.where(random.random(rows) < 0.3, random.integers(0, 6 * 60, rows), 0)
        names = random.choice(MEASURED, rows)
        time, known_at = (
            [ADMITTED + timedelta(minutes=int(one)) for one in some] for some in (minutes, minutes + late)
        )
        values = [random.uniform(*CATALOGUE[name].plausible) for name in names]
        return Stay(f"s{seed}", "p", ADMITTED, observation_table(time, known_at, names, values))

    return make
