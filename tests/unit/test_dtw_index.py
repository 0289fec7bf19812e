"""The reference index: what is written is read, and what is not ours or not whole is refused."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

import models.dtw.index as index_files
from benchmarks.dtw_index import K, nearest_by_parts, random_index
from models.clinical.errors import InvalidInput, UnreadableSource
from models.dtw.distances import per_variable
from models.dtw.index import (
    ARRAYS,
    DESCRIPTION,
    Coding,
    Index,
    IndexFile,
    coded,
    fingerprint,
    load,
    save,
    size_bytes,
)
from models.dtw.search import Form, nearest
from models.dtw.series import Series, references, series

GIGABYTE = 10**9
NAMES = ("heart_rate", "lactate")


def many(count: int, *, weighted: bool = True, hours: int = 5) -> list[Series]:
    random = np.random.default_rng(count)
    values = random.normal(size=(count, hours, len(NAMES)))
    weights = random.random((count, hours, len(NAMES))) if weighted else None
    return [coded(series(values[n], None if weights is None else weights[n], NAMES)) for n in range(count)]


def index_of(series_of: list[Series]) -> Index:
    count = len(series_of)
    outcome = (np.arange(count) % 3 == 0).astype(np.int8)
    onset = np.where(outcome == 1, np.arange(count), np.nan).astype(np.float32)
    return Index(references(series_of), outcome, onset, np.arange(count, dtype=np.int32) + 1)


@pytest.mark.parametrize("coding", ["half", "single"])
@pytest.mark.parametrize("weighted", [True, False])
def test_what_is_saved_is_read_bit_for_bit(coding: Coding, weighted: bool, tmp_path: Path) -> None:
    index = index_of([*many(40, weighted=weighted), *many(7, weighted=weighted, hours=9)])
    save(index, tmp_path, coding)
    found = load(tmp_path)
    assert fingerprint(found) == fingerprint(index)
    np.testing.assert_array_equal(found.onset_hours, index.onset_hours)
    np.testing.assert_array_equal(found.stays, index.stays)
    query = many(3)[2]
    np.testing.assert_array_equal(
        per_variable(query, found.references), per_variable(query, index.references)
    )


def test_the_file_is_one_that_safetensors_reads(tmp_path: Path) -> None:
    save(index_of(many(40)), tmp_path)
    found = load_file(tmp_path / ARRAYS)
    assert found["values"].dtype == np.float16
    assert found["weights"].dtype == np.uint8


@pytest.mark.parametrize("coding", ["half", "single"])
def test_pieces_written_one_by_one_are_the_same_bytes(
    coding: Coding, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = index_of(many(100))
    save(index, tmp_path / "at once", coding)
    monkeypatch.setattr(index_files, "CHUNK", 1)  # a block at a time
    save(index, tmp_path / "in pieces", coding)
    for name in (DESCRIPTION, ARRAYS):
        assert (tmp_path / "in pieces" / name).read_bytes() == (tmp_path / "at once" / name).read_bytes()


@pytest.mark.parametrize("coding", ["half", "single"])
def test_saving_holds_some_pieces_and_no_copy(
    coding: Coding, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = index_of(many(320, hours=100))
    chunk = 1 << 16
    monkeypatch.setattr(index_files, "CHUNK", chunk)
    tracemalloc.start()
    save(index, tmp_path, coding)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert index.references.values.nbytes > 3 * chunk
    assert peak_bytes < 3 * chunk


def test_single_precision_without_weights_is_used_where_it_lies(tmp_path: Path) -> None:
    save(index_of(many(40, weighted=False)), tmp_path, "single")
    opened = IndexFile(tmp_path)
    assert np.shares_memory(opened.references().values, opened.arrays["values"])
    assert isinstance(opened.arrays["values"].base, np.memmap)


def test_parts_together_are_the_whole(tmp_path: Path) -> None:
    index, query = index_of(many(100)), many(3)[1]
    save(index, tmp_path)
    whole = per_variable(query, index.references)
    numbers, seen = [], np.full_like(whole, np.nan)
    for number, part in IndexFile(tmp_path).parts(blocks=1):
        seen[:, number] = per_variable(query, part)
        numbers += number.tolist()
    assert sorted(numbers) == list(range(100))
    np.testing.assert_array_equal(seen, whole)


def test_a_part_is_of_its_own_mapping(tmp_path: Path) -> None:
    save(index_of(many(100, weighted=False)), tmp_path, "single")
    opened = IndexFile(tmp_path)
    (_, first), *_ = opened.parts(blocks=1)
    assert not np.shares_memory(first.values, opened.arrays["values"])
    assert isinstance(first.values.base, np.memmap)
    np.testing.assert_array_equal(first.values, opened.arrays["values"][:1])


@pytest.mark.parametrize("weighted", [True, False])
def test_the_nearest_by_parts_are_the_nearest_of_all(weighted: bool, tmp_path: Path) -> None:
    index = random_index(70, weighted=weighted)
    save(index, tmp_path, "half")
    stay = series(index.references.values[1, :, :40, 3].T)
    whole = nearest([stay], index.references, K, form=Form.INDEPENDENT)
    assert nearest_by_parts(stay, IndexFile(tmp_path), blocks=1) == whole.index[0, 0].tolist()
    assert whole.index[0, 0, 0] == 35


def test_a_hundred_thousand_stays_fit_in_a_gigabyte(tmp_path: Path) -> None:
    save(index_of(many(64, hours=48)), tmp_path)
    header = int.from_bytes((tmp_path / ARRAYS).read_bytes()[:8], "little") + 8
    assert (tmp_path / ARRAYS).stat().st_size - header == size_bytes(64, 2, 48, weighted=True)
    assert size_bytes(100_000, 44, 48, weighted=True) < 0.64 * GIGABYTE
    assert size_bytes(100_000, 44, 48, "single", weighted=False) < 0.85 * GIGABYTE


@pytest.mark.parametrize("place", [0, 7, 500, -1])
def test_a_changed_byte_is_noticed(place: int, tmp_path: Path) -> None:
    save(index_of(many(40)), tmp_path)
    content = bytearray((tmp_path / ARRAYS).read_bytes())
    content[place] ^= 1
    (tmp_path / ARRAYS).write_bytes(content)
    with pytest.raises(UnreadableSource, match=r"index.safetensors: SHA-256 .* the file was changed"):
        load(tmp_path)


def test_a_file_cut_short_is_noticed(tmp_path: Path) -> None:
    save(index_of(many(40)), tmp_path)
    (tmp_path / ARRAYS).write_bytes((tmp_path / ARRAYS).read_bytes()[:-100])
    with pytest.raises(UnreadableSource, match="SHA-256"):
        load(tmp_path)


@pytest.mark.parametrize("name", [ARRAYS, DESCRIPTION])
def test_a_missing_file_is_named(name: str, tmp_path: Path) -> None:
    save(index_of(many(40)), tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(UnreadableSource, match=name):
        load(tmp_path)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda told: told | {"format": "another"}, "not the description of a prodrome dtw index"),
        (lambda told: told | {"version": 2}, "version 2 of the format; this reads 1"),
        (lambda told: {name: told[name] for name in told if name != "sha256"}, "lacks sha256"),
        (lambda told: [told], "not the description"),
        (
            lambda told: told | {"variables": ["lactate", "heart_rate"]},
            "SHA-256 is not the .* it was changed",
        ),
        (lambda told: told | {"variables": ["lactate"]}, "it was changed"),
    ],
)
def test_a_foreign_description_is_refused(
    change: Callable[[dict[str, object]], object], says: str, tmp_path: Path
) -> None:
    save(index_of(many(40)), tmp_path)
    told = json.loads((tmp_path / DESCRIPTION).read_text(encoding="utf-8"))
    (tmp_path / DESCRIPTION).write_text(json.dumps(change(told)), encoding="utf-8")
    with pytest.raises(UnreadableSource, match=says):
        load(tmp_path)


def test_a_description_that_is_no_json_is_refused(tmp_path: Path) -> None:
    save(index_of(many(40)), tmp_path)
    (tmp_path / DESCRIPTION).write_text("{", encoding="utf-8")
    with pytest.raises(UnreadableSource, match="expected the description of an index"):
        load(tmp_path)


def test_values_that_would_be_rounded_are_not_saved(tmp_path: Path) -> None:
    rounded = series(np.full((5, 2), 0.1), variables=NAMES)
    with pytest.raises(InvalidInput, match="single precision rounds"):
        save(index_of([rounded] * 3), tmp_path)


def test_an_outcome_for_each_reference() -> None:
    index = index_of(many(40))
    with pytest.raises(InvalidInput, match="outcome of 39 references: there are 40"):
        Index(index.references, index.outcome[1:], index.onset_hours, index.stays)


def test_an_outcome_is_0_or_1() -> None:
    index = index_of(many(3))
    with pytest.raises(InvalidInput, match="outcome 7: 0 or 1"):
        Index(index.references, np.array([0, 7, 1], np.int8), index.onset_hours, index.stays)


def test_what_lies_beyond_half_precision_is_not_coded(tmp_path: Path) -> None:
    large = series([[1e5, 0.0], [0.0, 1.0]], variables=NAMES)
    with pytest.raises(InvalidInput, match="100000 standardised units: half precision ends at 65504"):
        coded(large)
    with pytest.raises(InvalidInput, match="half precision ends"):
        save(index_of([large]), tmp_path)
    save(index_of([large]), tmp_path, "single")
    assert load(tmp_path).references.values.max() == np.float32(1e5)


def test_what_was_coded_is_coded() -> None:
    one = many(1)[0]
    again = coded(one)
    np.testing.assert_array_equal(again.values, one.values)
    assert one.weights is not None
    assert again.weights is not None
    np.testing.assert_array_equal(again.weights, one.weights)
