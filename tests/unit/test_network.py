"""Inputs, masks and rising horizons of the network, and its configuration as JSON and TOML."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from models.channels import CHANNELS, OF_PATIENT
from models.clinical.errors import InvalidInput
from models.gru import GRUConfig
from models.mgp.standardise import VARIABLES
from models.mvpa.grid import GridMVPAConfig
from models.network import INPUTS, MGPTCNConfig, MGPTCNNetwork, inputs_of, rising
from models.sufficiency import SufficiencyRule
from models.tcn import TCNConfig
from pipelines.train import read_settings

CONFIGS = [
    MGPTCNConfig(),
    MGPTCNConfig(
        feed="carried",
        temporal=("matern32", "matern12"),
        lengthscale_hours=(3.0, 50.0),
        rank=3,
        reader=TCNConfig(channels=8, dilations=(1, 4), kernel=2, dropout=0.5, input_dropout=0.1),
        horizons_hours=(3, 6),
        draws=7,
        sufficiency=SufficiencyRule(fewest=2, window_hours=6.0),
    ),
    MGPTCNConfig(feed="smoothed", reader=GRUConfig(channels=12, dropout=0.1, receptive_hours=9)),
    MGPTCNConfig(feed="carried", reader=GridMVPAConfig(width=8, query_heads=4, key_heads=2, hours=3)),
]


@pytest.mark.parametrize("primary", [0, 2, 4])
def test_logits_rise_over_the_horizons_and_the_score_s_own_is_free(primary: int) -> None:
    raw = torch.randn(50, 5, generator=torch.Generator().manual_seed(1)) * 4
    found = rising(raw, primary)
    assert (found.diff(dim=-1) > 0).all()
    assert torch.equal(found[:, primary], raw[:, primary])


def test_the_steps_of_a_logit_are_its_softplus() -> None:
    found = rising(torch.zeros(5), 2)
    step = torch.log(torch.tensor(2.0))
    torch.testing.assert_close(found, step * torch.tensor([-2.0, -1.0, 0.0, 1.0, 2.0]))


@pytest.mark.parametrize("config", CONFIGS)
def test_a_configuration_is_the_same_after_json(config: MGPTCNConfig) -> None:
    assert MGPTCNConfig.from_json(json.loads(json.dumps(config.as_json()))) == config


def test_a_configuration_reads_from_toml(tmp_path: Path) -> None:
    file = tmp_path / "recipe.toml"
    text = (
        '[config]\nfeed = "smoothed"\nnetwork = "gru"\n[config.reader]\nchannels = 12\nreceptive_hours = 9\n'
    )
    file.write_text(text + "dropout = 0.1\n", encoding="utf-8")
    assert read_settings(file).config == CONFIGS[2]
    file.write_text(
        "[config]\nhorizons_hours = [3, 6]\n[config.reader]\ndilations = [1, 4]\n", encoding="utf-8"
    )
    read = MGPTCNConfig(horizons_hours=(3, 6), reader=TCNConfig(dilations=(1, 4)))
    assert read_settings(file).config == read


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"feed": "smooth"}, "smooth"),
        ({"network": "lstm"}, "lstm"),
        ({"horizons_hours": [0, 4, 12]}, "horizon"),
        ({"horizons_hours": [12, 6, 0]}, "horizon"),
    ],
)
def test_a_configuration_that_means_nothing_is_refused(fields: dict[str, object], named: str) -> None:
    with pytest.raises(InvalidInput, match=named):
        MGPTCNConfig.from_json(fields)


def test_each_input_is_of_one_variable_or_of_all() -> None:
    own = [inputs_of(m) for m in range(len(VARIABLES))]
    together = [column for columns in own for column in columns]
    assert len(set(together)) == len(together)
    assert INPUTS - len(together) == CHANNELS - len([c for c in together if c >= 2 * len(VARIABLES)])
    assert max(together) < INPUTS - OF_PATIENT
    assert [columns[:2] for columns in own] == [[m, len(VARIABLES) + m] for m in range(len(VARIABLES))]


@pytest.mark.parametrize("config", CONFIGS)
def test_a_masked_variable_moves_nothing_and_every_other_does(config: MGPTCNConfig) -> None:
    learnt = torch.ones(len(VARIABLES))
    learnt[7] = 0
    torch.manual_seed(3)
    network = MGPTCNNetwork(replace(config), learnt).eval()
    parts = [torch.randn(1, 6, size, requires_grad=True) for size in (len(VARIABLES),) * 2 + (CHANNELS,)]
    inputs = network.inputs(*parts)
    network(inputs, network.start(1))[0].square().sum().backward()
    moved = torch.cat([part.grad.abs().sum((0, 1)) for part in parts if part.grad is not None])
    still = torch.nonzero(moved == 0).flatten().tolist()
    assert still == sorted(inputs_of(7))
