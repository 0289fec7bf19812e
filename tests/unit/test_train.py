"""Training: the split, the threshold, settings from a file, and a stopped run that goes on alike."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.clinical.errors import InvalidInput, UnreadableSource
from models.fitting import Fit, Recipe, Stage
from models.mgp_tcn import MGPTCN
from models.network import MGPTCNConfig
from models.tcn import TCNConfig
from models.teacher import Teacher
from pipelines import train
from pipelines.metrics.cinc2019 import stay_utilities
from pipelines.split import held_out, split_of
from pipelines.train import TrainingSettings, best_threshold, read_settings

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
SETTINGS = TrainingSettings(
    MGPTCNConfig(rank=2, draws=2, reader=TCNConfig(channels=8, dilations=(1, 2))),
    Recipe(
        kernel_steps=3,
        stages=(
            Stage("network", 3, network_rate=0.1),
            Stage("joint", 2, network_rate=1e-2, kernel_rate=1e-2),
        ),
        batch=4,
        teacher=Teacher(trees=3, forests=1, smallest_leaf=5),
    ),
)
COLUMNS = (
    "HR|O2Sat|Temp|SBP|MAP|DBP|Resp|EtCO2|BaseExcess|HCO3|FiO2|pH|PaCO2|SaO2|AST|BUN|Alkalinephos|Calcium|"
    "Chloride|Creatinine|Bilirubin_direct|Glucose|Lactate|Magnesium|Phosphate|Potassium|Bilirubin_total|TroponinI|"
    "Hct|Hgb|PTT|WBC|Fibrinogen|Platelets|Age|Gender|Unit1|Unit2|HospAdmTime|ICULOS|SepsisLabel"
)


def test_the_split_is_by_subject_and_about_seventy_ten_twenty() -> None:
    parts = [split_of(f"p{number:06d}") for number in range(20_000)]
    shares = [parts.count(part) / len(parts) for part in ("train", "validation", "test")]
    assert shares == pytest.approx([0.7, 0.1, 0.2], abs=0.01)
    assert [held_out(f"p{number:06d}") for number in range(50)] == [part == "test" for part in parts[:50]]


def test_the_split_of_the_shipped_model_never_moves() -> None:
    """Moving it would score the shipped model on subjects it was trained on."""
    assert [split_of(subject) for subject in ("p000001", "p000002", "p000003", "p000005", "p100001")] == [
        *("train", "train", "validation", "validation", "train"),
    ]


def test_the_best_threshold_is_no_worse_than_any_other() -> None:
    random = np.random.default_rng(0)
    rows = np.full(40, 30)
    label = np.concatenate([np.arange(30) >= (18 if stay % 4 == 0 else 99) for stay in range(40)]).astype(
        np.int8
    )
    score = np.clip(0.3 * label + random.normal(0.3, 0.1, label.size), 0, 1)
    threshold, utility = best_threshold(rows, label, score)
    assert stay_utilities(rows, label, (score >= threshold).astype(np.int8)).normalised() == utility
    for other in np.linspace(score.min(), score.max(), 40):
        found = stay_utilities(rows, label, (score >= other).astype(np.int8)).normalised()
        assert found is not None
        assert found <= utility + 0.02
    with pytest.raises(InvalidInput, match="no septic stay"):
        best_threshold(rows, np.zeros_like(label), score)


# feed, network, in which stages the kernel learns, and how far back the network looks
EXPECTED = {
    "gru_carried": ("carried", "gru", [False, False], 63),
    "mgp_rnn": ("filtered", "gru", [False, True], 63),
    "mgp_tcn": ("filtered", "tcn", [False, True], 63),
    "mgp_tcn_smoothed": ("smoothed", "tcn", [False], 63),
    "mvpa_grid": ("carried", "mvpa", [False], 47),
    "tcn_carried": ("carried", "tcn", [False, False], 63),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_every_experiment_reads(name: str) -> None:
    settings = read_settings(EXPERIMENTS / f"{name}.toml")
    learns = [stage.kernel_rate > 0 for stage in settings.recipe.stages]
    config = settings.config
    found = config.feed, config.as_json()["network"], learns, config.reader.receptive_hours
    assert found == EXPECTED[name]


def test_every_experiment_is_expected_here_or_is_another_models() -> None:
    found = {file.stem for file in EXPERIMENTS.glob("*.toml")}
    assert found == {*EXPECTED, "dtw", "dtw_prototypes", "evaluate", "mvpa_demo"}


def test_settings_refuse_an_unknown_name_and_a_file_that_is_not_toml(tmp_path: Path) -> None:
    file = tmp_path / "recipe.toml"
    file.write_text("[recipe]\nlearning_rat = 3\n", encoding="utf-8")
    with pytest.raises(InvalidInput, match="learning_rat"):
        read_settings(file)
    file.write_text("[recipe\n", encoding="utf-8")
    with pytest.raises(UnreadableSource, match="expected a TOML file"):
        read_settings(file)


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty short made-up stays in the challenge's format; every third is septic, with a fast heart."""
    folder = tmp_path_factory.mktemp("records")
    random = np.random.default_rng(5)
    for number in range(60):
        septic = number % 3 == 0
        lines = [COLUMNS]
        for hour in range(1, 9):
            cells = ["NaN"] * 41
            cells[0] = f"{random.normal(125 if septic else 80, 5):.0f}"
            cells[3], cells[6] = f"{random.normal(110, 9):.0f}", "18"
            cells[34:] = ["60", "1", "NaN", "NaN", "-2", str(hour), str(int(septic and hour > 4))]
            lines.append("|".join(cells))
        (folder / f"p{number:06d}.psv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def test_a_stopped_run_resumes_to_the_same_model(
    records: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train.train_mgp_tcn([records], tmp_path / "whole", SETTINGS)
    passes = 0
    pass_done = train._Keeper.pass_done

    def stop_after_three(keeper: train._Keeper, fit: Fit) -> None:
        nonlocal passes
        pass_done(keeper, fit)
        passes += 1
        if passes == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(train._Keeper, "pass_done", stop_after_three)
    with pytest.raises(KeyboardInterrupt):
        train.train_mgp_tcn([records], tmp_path / "stopped", SETTINGS)
    monkeypatch.undo()
    resumed = train.train_mgp_tcn([records], tmp_path / "stopped", SETTINGS, resume=True)
    assert resumed.version == whole.version == MGPTCN.load(tmp_path / "stopped").version
    assert resumed.training["subjects"]["test"]["stays"] > 0


def test_a_run_of_other_stays_or_another_recipe_is_not_gone_on_with(records: Path, tmp_path: Path) -> None:
    train.train_mgp_tcn([records], tmp_path / "run", SETTINGS)
    other = replace(SETTINGS, recipe=replace(SETTINGS.recipe, seed=7))
    with pytest.raises(InvalidInput, match="holds another run: recipe; take another folder"):
        train.train_mgp_tcn([records], tmp_path / "run", other, resume=True)
    fewer = tmp_path / records.name
    shutil.copytree(records, fewer)
    (fewer / "p000059.psv").unlink()
    with pytest.raises(InvalidInput, match="holds another run: stays"):
        train.train_mgp_tcn([fewer], tmp_path / "run", SETTINGS, resume=True)
    (tmp_path / "run" / "run.json").unlink()
    with pytest.raises(InvalidInput, match=r"checkpoint\.pt, of unknown settings"):
        train.train_mgp_tcn([records], tmp_path / "run", SETTINGS, resume=True)
    train.train_mgp_tcn([records], tmp_path / "run", other)


def test_a_source_without_positive_hours_cannot_train(records: Path, tmp_path: Path) -> None:
    (tmp_path / "p000001.psv").write_bytes((records / "p000001.psv").read_bytes())
    with pytest.raises(UnreadableSource, match="no positive hour"):
        train.train_mgp_tcn([tmp_path], tmp_path / "out", SETTINGS)
