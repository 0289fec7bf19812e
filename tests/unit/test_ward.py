"""Many beds at once have the scores of each alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from models.clinical.errors import InvalidInput
from models.clinical.score import Score, ScoreSeries
from models.clinical.stay import Stay
from models.gru import GRUConfig
from models.mgp_tcn import MGPTCN
from models.mvpa.grid import GridMVPAConfig
from models.ward import TILE, Ward

CLOSE = 1e-6
TinyModel = Callable[..., MGPTCN]
RandomStay = Callable[..., Stay]


def between(stays: Sequence[Stay], first: int, last: int) -> pd.DataFrame:
    """What became known after hour `first`, by hour `last`, of every stay."""
    tables = []
    for stay in stays:
        known = (stay.observations["known_at"] - pd.Timestamp(stay.admitted_at)) / pd.Timedelta(hours=1)
        rows = stay.observations[(known > first) & (known <= last)]
        tables.append(rows.assign(stay_id=stay.stay_id))
    return pd.concat(tables)


def admitted(stays: Sequence[Stay], model: MGPTCN, hour: int) -> Ward:
    """A ward that was told of each stay what was known by `hour`."""
    ward = Ward(model)
    for stay in stays:
        ward.admit(stay.until(stay.admitted_at + timedelta(hours=hour)))
    return ward


def same(scores: Sequence[Score], series: ScoreSeries) -> bool:
    ours, theirs = (
        np.array([[one.value, one.low, one.high] for one in some], dtype=float) for some in (scores, series)
    )
    told = [[(one.time, one.status, one.reason) for one in some] for some in (scores, series)]
    return bool(np.allclose(ours, theirs, rtol=0.0, atol=CLOSE, equal_nan=True)) and told[0] == told[1]


@pytest.mark.parametrize("reader", [None, GRUConfig(channels=8), GridMVPAConfig(width=4, inner=4, hours=6)])
def test_every_hour_of_every_bed_is_scored_as_alone(
    tiny: TinyModel, random_stay: RandomStay, reader: GRUConfig | GridMVPAConfig | None
) -> None:
    model = tiny() if reader is None else tiny(reader=reader)
    stays = [random_stay(seed, hours=12) for seed in range(TILE + 3)]
    ward, scores = admitted(stays, model, 4), defaultdict[str, list[Score]](list)
    for hour in (4, 5, 6, 9):
        told = between(stays, {4: 99, 5: 4, 6: 5, 9: 6}[hour], hour)
        for stay_id, new in ward.advance(told, stays[0].admitted_at + timedelta(hours=hour)).items():
            scores[stay_id] += new
    for stay in stays:
        end = stay.admitted_at + timedelta(hours=9)
        assert same(scores[stay.stay_id], model.score(stay, end))


def test_a_bed_has_the_same_bits_whoever_lies_beside_it(tiny: TinyModel, random_stay: RandomStay) -> None:
    stays = [random_stay(seed, hours=6) for seed in range(5)]
    end = stays[0].admitted_at + timedelta(hours=6)
    alone = admitted(stays[:1], tiny(), 6).advance(between(stays[:1], 99, 6), end)
    together = admitted(stays, tiny(), 6).advance(between(stays, 99, 6), end)
    assert alone[stays[0].stay_id] == together[stays[0].stay_id]


def test_what_is_known_later_waits_for_its_hour(tiny: TinyModel, random_stay: RandomStay) -> None:
    stay, model = random_stay(1, hours=8), tiny()
    ward = Ward(model)
    ward.admit(stay)
    nothing = between([stay], 99, 99)
    ends = [stay.admitted_at + timedelta(hours=hour) for hour in (3, 8)]
    scores = [one for end in ends for one in ward.advance(nothing, end)[stay.stay_id]]
    assert same(scores, model.score(stay, ends[1]))


def test_a_bed_that_is_free_takes_a_new_stay(tiny: TinyModel, random_stay: RandomStay) -> None:
    stays, model = [random_stay(seed, hours=6) for seed in range(3)], tiny()
    ward, end = admitted(stays[:2], model, 6), stays[0].admitted_at + timedelta(hours=6)
    ward.advance(between(stays[:2], 99, 6), end)
    ward.discharge(stays[0].stay_id)
    ward.admit(stays[2].until(end))
    assert same(ward.advance(between(stays, 99, 6), end)[stays[2].stay_id], model.score(stays[2], end))


def test_what_cannot_be_continued_is_refused(tiny: TinyModel, random_stay: RandomStay) -> None:
    stay = random_stay(1, hours=6)
    ward, end = admitted([stay], tiny(), 6), stay.admitted_at + timedelta(hours=6)
    with pytest.raises(InvalidInput, match="lies here already"):
        ward.admit(stay)
    with pytest.raises(InvalidInput, match="does not lie here"):
        ward.advance(between([replace(stay, stay_id="elsewhere")], 0, 6), end)
    ward.advance(between([stay], 99, 6), end)
    with pytest.raises(InvalidInput, match="scored already"):
        ward.advance(between([stay], 2, 6), end)
    with pytest.raises(InvalidInput, match="hour by hour"):
        Ward(tiny(feed="carried"))
