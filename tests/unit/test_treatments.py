"""Which texts name an antibacterial, a culture or a vasopressor, and what a rate is in the kind's unit."""

from pathlib import Path

import duckdb
import pytest

from models.clinical.interventions import InterventionKind
from pipelines.ingest.treatments import (
    antibiotic,
    is_culture,
    rate_in_canonical_unit,
    vasopressor,
    vasopressor_agent,
)

GIVEN = [
    ("CefTRIAXone", "IV", "ceftriaxone"),
    ("cefTRIAXone in D5W (ROCEPHIN) ivpb 1 g", "IVPB", "ceftriaxone"),
    ("1 EACH VIAL : CEFTRIAXONE SODIUM 1 G IJ SOLR", "IV", "ceftriaxone"),
    ("Meropenem", "IV", "meropenem"),
    ("MERREM", None, "meropenem"),
    ("Imipenem-Cilastatin", "IV", "imipenem/cilastatin"),
    ("Primaxin", "IV DRIP", "imipenem/cilastatin"),
    ("Linezolid", "PO", "linezolid"),
    ("Zyvox", "PB", "linezolid"),
    ("DAPTOmycin", "IV", "daptomycin"),
    ("Cubicin", "", "daptomycin"),
    ("Tygacil", "IV", "tigecycline"),
    ("Vancomycin 1 g IVPB", None, "vancomycin"),
    ("Vancomycin1g", "MISC", "vancomycin"),
    ("VANCOCIN", "IV", "vancomycin"),
    ("PIPERACILLIN-TAZOBACTAM 4.5 G", "IntraVENOUS", "piperacillin/tazobactam"),
    ("PIPERACILLIN SOD-TAZOBACTAM SO 3-0.375 G IV SOLR", "IV", "piperacillin/tazobactam"),
    ("Piperacillin/Tazobactam (Zosyn)", None, "piperacillin/tazobactam"),
    ("Ampicillin/Sulbactam (Unasyn)", None, "ampicillin/sulbactam"),
    ("Amoxicillin-Clavulanic Acid", "PO/NG", "amoxicillin/clavulanic acid"),
    ("Augmentin", "NG", "amoxicillin/clavulanic acid"),
    ("Bactrim (SMX/TMP)", None, "sulfamethoxazole/trimethoprim"),
    ("Sulfameth/Trimethoprim DS", "PO", "sulfamethoxazole/trimethoprim"),
    ("Cipro", "PO (oral)      ", "ciprofloxacin"),
    ("Levaquin", "PER NG TUBE", "levofloxacin"),
    ("MetRONIDAZOLE (FLagyl)", "IV", "metronidazole"),
    ("Keflex", "PO", "cefalexin"),
    ("Gentamicin", "IM", "gentamicin"),
    ("Colistimethate Sodium", "IV", "colistin"),
    ("Rifampin", "PO", "rifampicin"),
    ("ceFAZolin 1 g powder for Inj", "IV", "cefazolin"),
]

NOT_GIVEN = [
    ("Vancomycin Oral Liquid", "PO"),
    ("Vancomycin Oral Liquid", None),
    ("Vancomycin", "PO/NG"),
    ("VANCOCIN", "NG Tube"),
    ("Vancomycin Enema", "PR"),
    ("Vancomycin", "INTRAVITREAL"),
    ("Vancomycin", "DWELL"),
    ("Vancomycin-Heparin Lock", "IV"),
    ("VANCOMYCIN CONSULT TO PHARMACY", "See Instruct"),
    ("Gentamicin 0.3% Ophth. Soln", "BOTH EYES"),
    ("Gentamicin ophth", None),
    ("moxifloxacin", "LEFT EYE"),
    ("Ciprofloxacin 0.3% Ophth Soln", "RIGHT EAR"),
    ("CIPROFLOXACIN-DEXAMETHASONE 0.3-0.1 % OT SUSP", "MISC"),
    ("Gentamicin", "IRR"),
    ("Tobramycin Inhalation Soln", "IH"),
    ("TOBRAMYCIN 300 MG/5ML IN NEBU", None),
    ("Gentamicin", "PO"),
    ("Erythromycin 0.5% Ophth Oint", "OU"),
    ("Bacitracin Ointment", "TP"),
    ("BACITRACIN", ".ROUTE"),
    ("Neomycin Sulfate", "PO"),
    ("Neomycin-Polymyxin-Bacitracin", "TP"),
    ("Mupirocin Nasal Ointment 2%", "NU"),
    ("Metronidazole Gel 0.75%-Vaginal", "VG"),
    ("Silver Sulfadiazine 1% Cream", "TP"),
    ("Rifaximin", "PO"),
    ("Nystatin Oral Suspension", "PO"),
    ("Fluconazole", "IV"),
    ("Acyclovir", "IV"),
    ("Isoniazid", "PO"),
    ("Penicillin allergy", None),
    ("Ampicillin Desensitization", "IV"),
    ("Sulfasalazine", "PO"),
    ("DOXOrubicin", "IV"),
    ("AcetaZOLamide", "IV"),
    ("CEPHULAC", "PO"),
    ("Neosynephrine-k", None),
    ("", None),
]

CULTURES = [
    ("BLOOD CULTURE", "Blood Culture, Routine"),
    ("BLOOD CULTURE ( MYCO/F LYTIC BOTTLE)", ""),
    ("URINE", "URINE CULTURE"),
    ("Urine, Catheter Specimen", ""),
    ("SPUTUM", "GRAM STAIN"),
    ("Sputum, Tracheal Specimen", ""),
    ("BRONCHOALVEOLAR LAVAGE", "RESPIRATORY CULTURE"),
    ("Mini-BAL", ""),
    ("CSF;SPINAL FLUID", "FLUID CULTURE"),
    ("SWAB", "WOUND CULTURE"),
    ("TISSUE", "TISSUE"),
    ("CATHETER TIP-IV", ""),
    ("STOOL", ""),
    ("STOOL", "FECAL CULTURE"),
    ("FLUID,OTHER", "ANAEROBIC CULTURE"),
]

NO_CULTURES = [
    ("MRSA SCREEN", ""),
    ("Staph aureus swab", "Staph aureus Screen"),
    ("SWAB", "R/O VANCOMYCIN RESISTANT ENTEROCOCCUS"),
    ("Rectal Swab", ""),
    ("Nasopharynx", ""),
    ("CRE Screen", ""),
    ("Infection Control Yeast", "Swab - R/O Yeast - IC"),
    ("SEROLOGY/BLOOD", "RAPID PLASMA REAGIN TEST"),
    ("Blood (CMV AB)", ""),
    ("Blood (EBV)", "EPSTEIN-BARR VIRUS VCA-IgM AB"),
    ("IMMUNOLOGY", "HIV-1 Viral Load/Ultrasensitive"),
    ("Influenza A/B by DFA", ""),
    ("Rapid Respiratory Viral Screen & Culture", "Respiratory Viral Culture"),
    ("STOOL", "C. difficile PCR"),
    ("STOOL", "OVA + PARASITES"),
    ("URINE", "Legionella Urinary Antigen "),
    ("URINE", "Chlamydia trachomatis, Nucleic Acid Probe, with Amplification"),
    ("BONE MARROW - CYTOGENETICS", ""),
    ("Stem Cell - Blood Culture", "Stem Cell Aer/Ana Culture"),
    ("", ""),
]


@pytest.mark.parametrize(("drug", "route", "ingredient"), GIVEN)
def test_a_systemic_antibacterial_is_known_by_name_brand_salt_and_strength(
    drug: str, route: str | None, ingredient: str
) -> None:
    assert antibiotic(drug, route) == ingredient


@pytest.mark.parametrize(("drug", "route"), NOT_GIVEN)
def test_what_never_reaches_the_blood_or_is_no_antibacterial_is_none(drug: str, route: str | None) -> None:
    assert antibiotic(drug, route) is None


@pytest.mark.parametrize(("specimen", "test"), CULTURES)
def test_a_specimen_taken_to_find_an_infection_is_a_culture(specimen: str, test: str) -> None:
    assert is_culture(specimen, test)


@pytest.mark.parametrize(("specimen", "test"), NO_CULTURES)
def test_screens_serology_and_molecules_are_no_cultures(specimen: str, test: str) -> None:
    assert not is_culture(specimen, test)


@pytest.mark.parametrize(
    ("drug", "kind"),
    [
        ("Levophed-k", "norepinephrine"),
        ("Norepinephrine STD 4 mg Dextrose 5% 250 ml (mcg/min)", "norepinephrine"),
        ("noradrenaline", "norepinephrine"),
        ("EPINEPHrine(Adrenalin)STD 4 mg (mcg/min)", "epinephrine"),
        ("DOPamine", "dopamine"),
        ("Dobutamine (mcg/kg/min)", "dobutamine"),
        ("Neosynephrine-k", "phenylephrine"),
        ("Volume (ml) Phenylephrine ()", "phenylephrine"),
        ("Vasopressin (units/hr)", "vasopressin"),
        ("Milrinone", "other_vasopressor"),
        ("Giapreza", "other_vasopressor"),
        ("levosimendan", "other_vasopressor"),
        ("Racepinephrine", None),
        ("Epinephrine for nebulization", None),
        ("Epinephrine 1:1000", None),
        ("Lidocaine 1%/Epinephrine 1:100000", None),
        ("Phenylephrine 2.5 % Ophth Soln", None),
        ("Phenylephrine 0.5% Nasal Spray", None),
        ("Pseudoephedrine HCl", None),
        ("Desmopressin Acetate", None),
        ("Carbidopa-Levodopa (25-250)", None),
    ],
)
def test_a_vasopressor_is_known_by_name_and_not_where_it_is_local(drug: str, kind: str | None) -> None:
    assert vasopressor(drug) == kind


def test_other_vasopressors_are_named_by_their_agent() -> None:
    assert vasopressor_agent("Primacor drip") == "milrinone"
    assert vasopressor_agent("angiotensin II (ng/kg/min)") == "angiotensin ii"
    assert vasopressor_agent("saline") is None


@pytest.mark.parametrize(
    ("kind", "value", "unit", "weight_kg", "expected"),
    [
        ("norepinephrine", 0.1, "mcg/kg/min", None, 0.1),
        ("norepinephrine", 0.1, "mcgkgmin", None, 0.1),
        ("norepinephrine", 8, "mcg/min", 80, 0.1),
        ("norepinephrine", 0.48, "mg/hour", 80, 0.1),
        ("norepinephrine", 100, "ng/kg/min", None, 0.1),
        ("norepinephrine", 100, "nanogram/kg/min", None, 0.1),
        ("epinephrine", 6, "mcg/kg/hr", None, 0.1),
        ("phenylephrine", 0.08, "mg/min", 80, 1.0),
        ("dopamine", 5, "µg/kg/min", None, 5.0),
        ("norepinephrine", 0, "mcg/min", None, 0.0),
        ("norepinephrine", 0, "ml/hr", None, 0.0),
        ("vasopressin", 0.04, "units/min", None, 0.04),
        ("vasopressin", 2.4, "units/hour", None, 0.04),
        ("vasopressin", 2.4, "U/hr", None, 0.04),
        ("vasopressin", 40, "milliunits/min", None, 0.04),
        ("vasopressin", 0.0005, "units/kg/min", 80, 0.04),
        ("other_vasopressor", 0.5, "mcg/kg/min", None, 0.5),
    ],
)
def test_a_rate_comes_in_the_unit_of_its_kind(
    kind: str, value: float, unit: str, weight_kg: float | None, expected: float
) -> None:
    rate = rate_in_canonical_unit(InterventionKind(kind), value, unit, weight_kg)
    assert rate == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("kind", "value", "unit", "weight_kg"),
    [
        ("norepinephrine", 8, "mcg/min", None),
        ("norepinephrine", 8, "mcg/min", 1.0),
        ("norepinephrine", 8, "ml/hr", 80),
        ("norepinephrine", 8, "", 80),
        ("norepinephrine", 8, "units/min", 80),
        ("norepinephrine", -1, "mcg/kg/min", 80),
        ("norepinephrine", float("nan"), "mcg/kg/min", 80),
        ("norepinephrine", float("inf"), "mcg/kg/min", 80),
        ("norepinephrine", 8, "mg/kg/min", 80),
        ("vasopressin", 2.4, "units/min", None),
        ("vasopressin", 0.04, "mcg/min", 80),
        ("antibiotic", 1, "mg/hr", 80),
    ],
)
def test_a_rate_that_cannot_be_known_is_none(
    kind: str, value: float, unit: str, weight_kg: float | None
) -> None:
    assert rate_in_canonical_unit(InterventionKind(kind), value, unit, weight_kg) is None


def _counted(data_folder: Path, query: str) -> dict[str, int]:
    """The rows whose drug and route (a query's first two columns) name an antibiotic, by ingredient."""
    counts: dict[str, int] = {}
    for drug, route, rows in duckdb.connect().execute(query.format(icu=data_folder / "icu")).fetchall():
        if ingredient := antibiotic(drug or "", route):
            counts[ingredient] = counts.get(ingredient, 0) + rows
    return counts


@pytest.mark.data
def test_metavision_antibiotic_items_are_counted_but_for_those_against_fungi_viruses_and_parasites(
    data_folder: Path,
) -> None:
    file = data_folder / "icu/mimic4_demo/icu/d_items.csv.gz"
    query = f"SELECT label FROM '{file}' WHERE category = 'Antibiotics'"
    items = duckdb.connect().execute(query).fetchall()
    none = {label for (label,) in items if antibiotic(label, None) is None}
    fungi = {"Ambisome", "Caspofungin", "Fluconazole", "Micafungin", "Voriconazole"}
    viruses = {"Acyclovir", "Foscarnet", "Gancyclovir", "Ribavirin", "Tamiflu", "Valgancyclovir"}
    parasites = {"Atovaquone", "Chloroquine", "Mefloquine", "Quinine"}
    mycobacteria = {"Ethambutol", "Isoniazid", "Pyrazinamide"}
    assert none == fungi | viruses | parasites | mycobacteria
    assert len(items) == 55


@pytest.mark.data
@pytest.mark.parametrize(
    ("query", "rows", "some"),
    [
        (
            "SELECT drug, route, count(*) FROM '{icu}/mimic3_demo/PRESCRIPTIONS.csv' GROUP BY ALL",
            660,
            {"ceftriaxone": 36, "vancomycin": 199},
        ),
        (
            "SELECT drug, route, count(*) FROM '{icu}/mimic4_demo/hosp/prescriptions.csv.gz' GROUP BY ALL",
            869,
            {"ceftriaxone": 58, "vancomycin": 271},
        ),
        (
            "SELECT drugname, routeadmin, count(*) FROM '{icu}/eicu_demo/medication.csv.gz' GROUP BY ALL",
            1851,
            {"ceftriaxone": 225, "vancomycin": 632},
        ),
    ],
)
def test_orders_of_the_demos_hold_as_many_antibiotics_as_were_reviewed(
    data_folder: Path, query: str, rows: int, some: dict[str, int]
) -> None:
    counts = _counted(data_folder, query)
    assert sum(counts.values()) == rows
    assert some.items() <= counts.items()


@pytest.mark.data
def test_cultures_of_the_demos_are_as_many_as_were_reviewed(data_folder: Path) -> None:
    micro = (
        duckdb.connect()
        .execute(
            "SELECT spec_type_desc, test_name, count(*) "
            f"FROM '{data_folder}/icu/mimic4_demo/hosp/microbiologyevents.csv.gz' GROUP BY ALL"
        )
        .fetchall()
    )
    assert sum(rows for *_, rows in micro) == 2899
    assert sum(rows for specimen, test, rows in micro if is_culture(specimen, test or "")) == 2406
