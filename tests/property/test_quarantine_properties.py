"""One rule for one cell and for many; conversions there and back; what is kept is always plausible."""

import json

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from models.clinical.quarantine import Accepted, Cell, as_json, check_value, check_values
from models.clinical.units import conversion_to_canonical, convert
from models.clinical.variables import CATALOGUE, Variable

VARIABLES = st.sampled_from(sorted(CATALOGUE)).map(CATALOGUE.__getitem__)
UNITS = st.sampled_from(
    [*sorted({unit for row in CATALOGUE.values() for unit in row.accepted_units}), "", "stone"]
)
CELLS: st.SearchStrategy[Cell] = st.one_of(
    st.floats(), st.integers(), st.none(), st.booleans(), st.text(max_size=8), st.floats().map(repr)
)


@given(VARIABLES, st.lists(CELLS, max_size=8), UNITS)
def test_one_cell_and_many_get_the_same_verdicts(row: Variable, cells: list[Cell], unit: str) -> None:
    checked = check_values(row, cells, unit)
    rejected = {entry.row: entry for entry in checked.quarantined}
    assert checked.accepted.sum() + len(rejected) == len(cells)
    for index, cell in enumerate(cells):
        verdict = check_value(row.name, cell, unit)
        if isinstance(verdict, Accepted):
            assert checked.accepted[index]
            assert checked.value[index] == verdict.value
        else:
            entry = rejected[index]
            assert (entry.reason, entry.detail) == (verdict.reason, verdict.detail)


@given(VARIABLES, st.lists(st.floats(), max_size=8), UNITS)
def test_numbers_get_the_same_verdict_in_an_array_and_in_a_list(
    row: Variable, numbers: list[float], unit: str
) -> None:
    one, other = check_values(row, np.array(numbers), unit), check_values(row, list(numbers), unit)
    assert one.quarantined == other.quarantined
    np.testing.assert_array_equal(one.value, other.value)


@given(VARIABLES, CELLS, UNITS)
def test_what_is_accepted_is_plausible_and_what_is_not_can_be_told(
    row: Variable, cell: Cell, unit: str
) -> None:
    verdict = check_value(row.loinc, cell, unit)
    if isinstance(verdict, Accepted):
        assert row.plausible[0] <= verdict.value <= row.plausible[1]
    else:
        assert verdict.bound
        assert verdict.bound in verdict.detail or row.unit in verdict.detail
        assert json.loads(json.dumps(verdict.value, allow_nan=False)) == as_json(cell)


@given(VARIABLES, st.data())
def test_conversions_round_trip(row: Variable, data: st.DataObject) -> None:
    unit = data.draw(st.sampled_from(row.accepted_units))
    canonical = data.draw(st.floats(*row.plausible))
    conversion = conversion_to_canonical(row, unit)
    given_in_unit = np.array([(canonical - conversion.offset) / conversion.factor])
    np.testing.assert_allclose(convert(given_in_unit, row, unit), [canonical], rtol=1e-9, atol=1e-9)
