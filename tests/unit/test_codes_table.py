"""Mappings of source codes: every shipped one is consistent, and one that is not is refused by its line."""

from importlib import resources
from pathlib import Path

import pytest

from models.clinical.interventions import InterventionKind
from models.clinical.units import accepted_unit
from models.clinical.variables import CATALOGUE, variable
from pipelines.ingest.codes_table import Code, Rule, read_codes

HEADER = "table,code,label,target,unit,rule,agent,note\n"

# the variables of the sepsis model (Moor et al. 2019) that MIMIC-III can tell
SEPSIS_MODEL = frozenset(CATALOGUE) - {"gcs_eye", "gcs_verbal", "gcs_motor", "gcs_total", "urine_output"}


def _shipped() -> list[str]:
    """The mappings in the columns of `codes_table`; lists of other shapes lie beside them."""
    folder = resources.files("pipelines.ingest").joinpath("codes")
    files = [file for file in folder.iterdir() if file.name.endswith(".csv")]
    return sorted(
        file.name.removesuffix(".csv")
        for file in files
        if file.read_text(encoding="utf-8").startswith(HEADER.strip())
    )


@pytest.mark.parametrize("name", _shipped())
def test_shipped_mappings_are_consistent(name: str) -> None:
    for code in read_codes(name):
        assert code.code == code.code.strip() != ""
        if code.intervention is None and code.unit:
            assert accepted_unit(variable(code.target), code.unit)


def test_mimic3_maps_the_variables_of_the_sepsis_model() -> None:
    mapped = {code.target for code in read_codes("mimic3")}
    assert mapped >= SEPSIS_MODEL
    assert mapped >= {"gcs_eye", "gcs_verbal", "gcs_motor", "gcs_total", "urine_output"}
    assert mapped >= {str(kind) for kind in InterventionKind}


def _read(monkeypatch: pytest.MonkeyPatch, folder: Path, *rows: str) -> tuple[Code, ...]:
    (folder / "codes").mkdir(exist_ok=True)
    (folder / "codes" / "here.csv").write_text(HEADER + "\n".join(rows) + "\n", encoding="utf-8")
    monkeypatch.setattr(resources, "files", lambda _package: folder)
    return read_codes("here")


def test_a_row_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pulse, drug = _read(
        monkeypatch,
        tmp_path,
        "chart,1,Pulse,heart_rate,1/min,,,why",
        "drugs,2,Levophed,norepinephrine,,held,norepinephrine,",
    )
    assert pulse == Code("chart", "1", "Pulse", "heart_rate", "1/min", Rule.REPORTED, "", "why")
    assert pulse.intervention is None
    assert (drug.intervention, drug.rule) == (InterventionKind.NOREPINEPHRINE, Rule.HELD)


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ("chart,2,Pulse,pulse,1/min,fixed,,", "line 3: 'pulse' is neither a variable nor an intervention"),
        ("chart,2,Pulse,heart_rate,,fixed,,", "line 3: heart_rate needs the unit that is assumed"),
        ("chart,2,Pulse,heart_rate,mmHg,fixed,,", "line 3: heart_rate does not accept the unit 'mmHg'"),
        (
            "chart,2,Pulse,heart_rate,1/min,held,,",
            "line 3: heart_rate is no intervention, nothing of it is held",
        ),
        ("chart,2,Pulse,heart_rate,1/min,always,,", "line 3: 'always' is no rule"),
        ("chart,1,Pulse,heart_rate,1/min,fixed,,", "chart 1 stands twice"),
    ],
)
def test_an_inconsistent_row_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, row: str, complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        _read(monkeypatch, tmp_path, "chart,1,Pulse,heart_rate,1/min,fixed,,", row)
