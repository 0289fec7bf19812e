"""The variable catalogue: one row a clinical quantity, with its unit, bounds and LOINC code.

`plausible` bounds are what a body or an analyser can show at all, in the canonical unit: outside them an
observation is quarantined. `normal` bounds are the adult reference range, for display only; laboratories
differ. Conversions are done by the units library (`models.clinical.units`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from types import MappingProxyType

from models.clinical.errors import UnknownVariable


class Kind(StrEnum):
    """Where a variable comes from: a monitor or ventilator, a laboratory, or a person who looked and counted."""

    VITAL = "vital"
    LAB = "lab"
    ASSESSMENT = "assessment"


@dataclass(frozen=True)
class Variable:
    """A clinical quantity.

    `unit` is canonical; `accepted_units` are converted to it. `plausible` (low, high) inclusive and `normal`
    (low, high) are in the canonical unit. `molar_mass` in g/mol allows conversion between mass and substance
    concentration. Only ions of one charge accept mEq/L, where an equivalent is a mole.

    `lag` is how long after `time` a result is taken to be known where its source does not say: the median of
    storetime - charttime by panel in the MIMIC-IV demo (chemistry 1.3 h, cardiac markers 1.5 h, coagulation
    1.05 h, blood count 0.8 h, blood gas 3 min); what is read at the bedside is known at once.
    """

    name: str
    label: str
    short: str
    kind: Kind
    unit: str
    accepted_units: tuple[str, ...]
    plausible: tuple[float, float]
    normal: tuple[float, float]
    loinc: str
    molar_mass: float | None = None
    lag: timedelta = timedelta(0)


_PRESSURE = ("mmHg", "kPa", "cmH2O")
_HEART_RATE = ("1/min", "/min", "bpm", "beats/min")  # not breaths: that would be a swapped channel
_BREATHING_RATE = ("1/min", "/min", "bpm", "breaths/min")
_SHARE = ("%", "1", "fraction")
_ENZYME = ("U/L", "IU/L", "ukat/L")
_CELLS = ("10^9/L", "10^3/uL", "K/uL", "10*3/uL", "10*9/L", "1/uL")
_MASS = ("g/dL", "g/L", "mg/dL")
_METABOLITE = ("mg/dL", "mg/L", "mmol/L", "umol/L")
_ION = ("mmol/L", "mEq/L")

_VOLUME = ("mL", "L")
_POINTS = ("{score}", "1", "points")

_V, _L, _A = Kind.VITAL, Kind.LAB, Kind.ASSESSMENT

_ROWS: tuple[Variable, ...] = (
    Variable("heart_rate", "Heart rate", "HR", _V, "1/min", _HEART_RATE, (10, 300), (60, 100), "8867-4"),
    Variable("oxygen_saturation", "Oxygen saturation (pulse oximetry)", "SpO2", _V, "%", _SHARE,
             (20, 100), (94, 100), "59408-5"),
    Variable("temperature", "Body temperature", "Temp", _V, "degC", ("degC", "degF", "K"),
             (25, 45), (36, 38), "8310-5"),
    Variable("systolic_pressure", "Systolic blood pressure", "SBP", _V, "mmHg", _PRESSURE,
             (20, 320), (100, 140), "8480-6"),
    Variable("mean_arterial_pressure", "Mean arterial pressure", "MAP", _V, "mmHg", _PRESSURE,
             (10, 320), (70, 105), "8478-0"),
    Variable("diastolic_pressure", "Diastolic blood pressure", "DBP", _V, "mmHg", _PRESSURE,
             (5, 320), (60, 90), "8462-4"),
    Variable("respiratory_rate", "Respiratory rate", "RR", _V, "1/min", _BREATHING_RATE,
             (1, 120), (12, 20), "9279-1"),
    Variable("end_tidal_co2", "End-tidal carbon dioxide", "EtCO2", _V, "mmHg", _PRESSURE,
             (1, 150), (35, 45), "19891-1"),
    Variable("base_excess", "Base excess", "BE", _L, "mmol/L", _ION, (-50, 50), (-2, 2), "11555-0"),
    Variable("bicarbonate", "Bicarbonate", "HCO3", _L, "mmol/L", _ION, (1, 60), (22, 28), "1963-8"),
    Variable("fio2", "Fraction of inspired oxygen", "FiO2", _V, "fraction", ("fraction", "1", "%"),
             (0.15, 1), (0.21, 0.21), "3150-0"),
    Variable("ph", "Arterial pH", "pH", _L, "pH", ("pH", "1"), (6.3, 8), (7.35, 7.45), "2744-1"),
    Variable("paco2", "Arterial carbon dioxide pressure", "PaCO2", _L, "mmHg", _PRESSURE,
             (5, 200), (35, 45), "2019-8"),
    Variable("arterial_oxygen_saturation", "Oxygen saturation (arterial blood)", "SaO2", _L, "%", _SHARE,
             (10, 100), (94, 100), "2708-6"),
    Variable("ast", "Aspartate aminotransferase", "AST", _L, "U/L", _ENZYME, (1, 50000), (10, 40), "1920-8"),
    Variable("bun", "Blood urea nitrogen", "BUN", _L, "mg/dL", _METABOLITE, (1, 300), (7, 20), "3094-0",
             28.0134),  # two nitrogen atoms a molecule of urea
    Variable("alkaline_phosphatase", "Alkaline phosphatase", "ALP", _L, "U/L", _ENZYME,
             (1, 10000), (40, 130), "6768-6"),
    Variable("calcium", "Calcium, total", "Ca", _L, "mg/dL", _METABOLITE, (3, 30), (8.5, 10.5), "17861-6",
             40.078),  # below 3 stand ionised calcium values in mmol/L
    Variable("chloride", "Chloride", "Cl", _L, "mmol/L", _ION, (50, 180), (98, 107), "2075-0"),
    Variable("creatinine", "Creatinine", "Creat", _L, "mg/dL", _METABOLITE, (0.05, 60), (0.6, 1.2),
             "2160-0", 113.12),
    Variable("bilirubin_direct", "Bilirubin, direct", "Bili-d", _L, "mg/dL", _METABOLITE,
             (0, 60), (0, 0.3), "1968-7", 584.66),
    Variable("glucose", "Glucose", "Gluc", _L, "mg/dL", _METABOLITE, (5, 2000), (70, 140), "2345-7", 180.156),
    Variable("lactate", "Lactate", "Lact", _L, "mmol/L", ("mmol/L", "mEq/L", "mg/dL"), (0.05, 50), (0.5, 2),
             "2524-7", 90.08),
    Variable("magnesium", "Magnesium", "Mg", _L, "mg/dL", _METABOLITE, (0.1, 20), (1.7, 2.4), "19123-9",
             24.305),
    Variable("phosphate", "Phosphate", "Phos", _L, "mg/dL", _METABOLITE, (0.1, 40), (2.5, 4.5), "2777-1",
             30.974),  # reported as phosphorus
    Variable("potassium", "Potassium", "K", _L, "mmol/L", _ION, (0.5, 15), (3.5, 5.1), "2823-3"),
    Variable("bilirubin_total", "Bilirubin, total", "Bili", _L, "mg/dL", _METABOLITE, (0, 80), (0.1, 1.2),
             "1975-2", 584.66),
    Variable("troponin_i", "Troponin I", "TropI", _L, "ng/mL", ("ng/mL", "ug/L", "ng/L", "pg/mL"),
             (0, 1000), (0, 0.04), "10839-9"),
    Variable("hematocrit", "Hematocrit", "Hct", _L, "%", _SHARE, (3, 80), (36, 50), "4544-3"),
    Variable("hemoglobin", "Hemoglobin", "Hgb", _L, "g/dL", (*_MASS, "mmol/L"), (1, 33), (12, 17.5),
             "718-7", 16114.5),  # per mole of the monomer, as laboratories report it
    Variable("ptt", "Partial thromboplastin time", "PTT", _L, "s", ("s",), (5, 300), (25, 37), "14979-9"),
    Variable("wbc", "White blood cell count", "WBC", _L, "10^9/L", _CELLS, (0, 500), (4, 11), "6690-2"),
    Variable("fibrinogen", "Fibrinogen", "Fibr", _L, "mg/dL", (*_MASS, "mg/L"), (10, 2500), (200, 400),
             "3255-7"),
    Variable("platelets", "Platelets", "Plt", _L, "10^9/L", _CELLS, (0, 3000), (150, 400), "777-3"),
    # what follows is read by labels and by models that name it; the challenge of 2019 does not carry it
    Variable("sodium", "Sodium", "Na", _L, "mmol/L", _ION, (80, 200), (135, 145), "2951-2"),
    Variable("albumin", "Albumin", "Alb", _L, "g/dL", _MASS, (0.3, 8), (3.5, 5), "1751-7"),
    Variable("bands", "Band neutrophils", "Bands", _L, "%", _SHARE, (0, 100), (0, 5), "764-1"),
    Variable("creatine_kinase", "Creatine kinase", "CK", _L, "U/L", _ENZYME, (1, 500000), (30, 200), "2157-6"),
    Variable("ck_mb", "Creatine kinase MB", "CK-MB", _L, "ng/mL", ("ng/mL", "ug/L"), (0, 2000), (0, 5),
             "13969-1"),
    Variable("ldh", "Lactate dehydrogenase", "LDH", _L, "U/L", _ENZYME, (10, 50000), (125, 250), "2532-0"),
    Variable("inr", "International normalised ratio", "INR", _L, "{INR}", ("{INR}", "1"), (0.4, 30), (0.9, 1.2),
             "6301-6"),
    Variable("prothrombin_time", "Prothrombin time", "PT", _L, "s", ("s",), (5, 300), (11, 14), "5902-2"),
    Variable("ionized_calcium", "Calcium, ionised", "iCa", _L, "mmol/L", ("mmol/L", "mg/dL"),
             (0.2, 4), (1.12, 1.32), "1995-0", 40.078),
    Variable("pao2", "Arterial oxygen pressure", "PaO2", _L, "mmHg", _PRESSURE, (10, 800), (75, 100), "2703-7"),
    Variable("troponin_t", "Troponin T", "TropT", _L, "ng/mL", ("ng/mL", "ug/L", "ng/L", "pg/mL"),
             (0, 1000), (0, 0.014), "6598-7"),
    Variable("alt", "Alanine aminotransferase", "ALT", _L, "U/L", _ENZYME, (1, 50000), (7, 56), "1742-6"),
    Variable("cardiac_output", "Cardiac output", "CO", _V, "L/min", ("L/min", "mL/min"), (0.3, 30), (4, 8),
             "8741-1"),
    Variable("tidal_volume_set", "Tidal volume, set", "VT set", _V, "mL", _VOLUME, (20, 2500), (350, 600),
             "20112-9"),
    Variable("tidal_volume_observed", "Tidal volume, observed", "VT obs", _V, "mL", _VOLUME, (20, 2500),
             (350, 600), "76222-9"),
    Variable("tidal_volume_spontaneous", "Tidal volume, spontaneous", "VT spont", _V, "mL", _VOLUME,
             (20, 2500), (350, 600), "20116-0"),
    Variable("peak_inspiratory_pressure", "Peak inspiratory pressure", "PIP", _V, "cmH2O", ("cmH2O", "mmHg", "kPa"),
             (1, 120), (12, 25), "76531-3"),
    Variable("total_peep", "Positive end-expiratory pressure, total", "PEEP", _V, "cmH2O",
             ("cmH2O", "mmHg", "kPa"), (0, 50), (3, 8), "76248-4"),
    Variable("oxygen_flow", "Oxygen flow", "O2 flow", _V, "L/min", ("L/min", "mL/min"), (0, 100), (0, 0),
             "3151-8"),
    Variable("gcs_eye", "Glasgow coma scale, eyes", "GCS E", _A, "{score}", _POINTS, (1, 4), (4, 4), "9267-6"),
    Variable("gcs_verbal", "Glasgow coma scale, verbal", "GCS V", _A, "{score}", _POINTS, (0, 5), (5, 5),
             "9270-0"),  # 0: not testable, a tube in the way
    Variable("gcs_motor", "Glasgow coma scale, motor", "GCS M", _A, "{score}", _POINTS, (1, 6), (6, 6), "9268-4"),
    Variable("gcs_total", "Glasgow coma scale", "GCS", _A, "{score}", _POINTS, (3, 15), (15, 15), "9269-2"),
    Variable("urine_output", "Urine output since the last entry", "Urine", _A, "mL", _VOLUME, (0, 5000),
             (0, 200), "9187-6"),
    Variable("body_weight", "Body weight", "Weight", _A, "kg", ("kg", "g", "lb"), (0.3, 500), (50, 100),
             "29463-7"),
    Variable("body_height", "Body height", "Height", _A, "cm", ("cm", "m", "in"), (20, 250), (150, 200),
             "8302-2"),
)

# hours between sampling and result, by panel; measured, see Variable.lag
_PANEL_LAG_HOURS = (
    (0.05, ("ph", "paco2", "pao2", "base_excess", "lactate", "ionized_calcium", "arterial_oxygen_saturation")),
    (0.8, ("hematocrit", "hemoglobin", "platelets", "wbc")),
    (1.05, ("ptt", "inr", "prothrombin_time", "fibrinogen")),
    (1.5, ("troponin_i", "troponin_t", "creatine_kinase", "ck_mb", "bands")),
)
_CHEMISTRY_LAG_HOURS = 1.3


def _lag(row: Variable) -> timedelta:
    if row.kind is not Kind.LAB:
        return timedelta(0)
    listed = (hours for hours, names in _PANEL_LAG_HOURS if row.name in names)
    return timedelta(hours=next(listed, _CHEMISTRY_LAG_HOURS))


_ROWS = tuple(replace(row, lag=_lag(row)) for row in _ROWS)

CATALOGUE: Mapping[str, Variable] = MappingProxyType({row.name: row for row in _ROWS})
_BY_LOINC: Mapping[str, Variable] = MappingProxyType({row.loinc: row for row in _ROWS})


def variable(name_or_code: str) -> Variable:
    """The variable of that catalogue name or LOINC code. Raises UnknownVariable."""
    found = CATALOGUE.get(name_or_code) or _BY_LOINC.get(name_or_code)
    if found is None:
        raise UnknownVariable(
            f"unknown variable {name_or_code!r}: expected a catalogue name such as heart_rate "
            "or a LOINC code such as 8867-4",
            value=name_or_code,
            bound="a catalogue name or LOINC code",
        )
    return found
