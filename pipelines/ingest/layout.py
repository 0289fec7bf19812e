"""The folder that an ingest writes: its files, their columns, and which shard a subject belongs to.

    stays.parquet                                 one row a stay, in the order of the source
    observations/subject_shard=NN/part-0.parquet  one row an observation; a stay's rows stand together
    interventions/subject_shard=NN/part-0.parquet the same of interventions
    quarantine.parquet                            one row a thing set aside
    quality.json quality.html                     the quality report
    ingest.json                                   what was read, from where, with what; written last

Every table has the stays in the order of `stays.parquet`, which counts the rows of each, so a reader needs
no search. All stays of a subject are in one shard.
"""

from __future__ import annotations

from hashlib import sha256

import pyarrow as pa  # type: ignore[import-untyped]

FORMAT = 1
SHARDS = 16
SHARD_RULE = f"sha256(subject), first 8 bytes big-endian, modulo {SHARDS}"

STAYS, QUARANTINE, RECORD = "stays.parquet", "quarantine.parquet", "ingest.json"
OBSERVATIONS, INTERVENTIONS = "observations", "interventions"
QUALITY_JSON, QUALITY_PAGE = "quality.json", "quality.html"

_TIME = pa.timestamp("us", tz="UTC")
_COUNT = pa.int64()

STAY_SCHEMA = pa.schema(
    [
        ("stay", pa.string()),
        ("subject", pa.string()),
        ("subject_shard", pa.int16()),
        ("admitted_at", _TIME),
        ("discharged_at", _TIME),
        ("hospital_admitted_at", _TIME),
        ("age_years", pa.float64()),
        ("sex", pa.string()),
        ("care_unit", pa.string()),
        ("synthetic", pa.bool_()),
        ("source", pa.string()),
        ("charting", pa.string()),
        ("diagnoses", pa.list_(pa.string())),
        ("cells_read", _COUNT),
        ("observations", _COUNT),
        ("interventions", _COUNT),
        ("quarantined", _COUNT),
        ("facts_quarantined", _COUNT),
        # variable, unit as received, how many
        ("converted", pa.list_(pa.struct([("variable", pa.string()), ("unit", pa.string()), ("n", _COUNT)]))),
        ("lag_assumed", pa.list_(pa.struct([("variable", pa.string()), ("n", _COUNT)]))),
        ("hour", pa.list_(pa.int64())),  # of each input row after admission, where the source has hourly rows
        ("label", pa.list_(pa.int8())),  # of the same rows, where it has labels
    ]
)
OBSERVATION_SCHEMA = pa.schema(
    [
        ("stay", pa.string()),
        ("subject", pa.string()),
        ("time", _TIME),
        ("known_at", _TIME),
        ("known_until", _TIME),  # null while it stands
        ("variable", pa.string()),
        ("value", pa.float64()),  # in the variable's canonical unit
        ("censored", pa.string()),
    ]
)
INTERVENTION_SCHEMA = pa.schema(
    [
        ("stay", pa.string()),
        ("subject", pa.string()),
        ("start", _TIME),
        ("end", _TIME),
        ("kind", pa.string()),
        ("rate", pa.float64()),  # null where there is none or it is not known
        ("agent", pa.string()),
    ]
)
QUARANTINE_SCHEMA = pa.schema(
    [
        ("stay", pa.string()),
        ("subject", pa.string()),
        ("fact", pa.bool_()),  # of the stay itself (age, sex, an admission), not one of the cells read
        ("reason", pa.string()),
        ("variable", pa.string()),
        ("value_number", pa.float64()),  # as received: a number,
        ("value_text", pa.string()),  # or text
        ("unit", pa.string()),
        ("bound", pa.string()),
        ("detail", pa.string()),
        ("row", _COUNT),
        ("named_stay", pa.string()),  # the stay as the entry itself names it
    ]
)


def shard_of(subject_id: str) -> int:
    """The shard that holds a subject, by `SHARD_RULE`."""
    return int.from_bytes(sha256(subject_id.encode()).digest()[:8], "big") % SHARDS


def shard_path(table: str, shard: int) -> str:
    """Where the rows of one shard of a table are, relative to the folder."""
    return f"{table}/subject_shard={shard:02}/part-0.parquet"
