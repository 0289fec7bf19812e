"""Column types that keep what they are given, on both databases.

`UtcDateTime` takes aware datetimes and gives aware UTC ones, exact to the microsecond. SQLite has no
time type: it holds fixed-width ISO text in UTC, which compares and orders as time does.

`Float64` gives back the bits it was given. SQLite turns -0.0 into 0 in a column with REAL affinity, so there
the column carries the type name BLOB, which leaves numbers as they are (https://sqlite.org/datatype3.html).
"""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, DateTime, Dialect, Double, Enum, Integer, TypeDecorator
from sqlalchemy.exc import DontWrapMixin
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import TypeCompiler

from models.clinical.errors import InvalidInput

# SQLite numbers rows itself only where the key's type is exactly INTEGER
Identifier = BigInteger().with_variant(Integer(), "sqlite")


class NaiveTime(InvalidInput, DontWrapMixin):
    """A time without an offset was given to the database; SQLAlchemy passes it through unwrapped."""


class UtcDateTime(TypeDecorator[datetime]):
    """A moment: aware in, aware UTC out. Binding a naive datetime raises NaiveTime (an InvalidInput)."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise NaiveTime(
                f"{value} has no time zone; give it in UTC", value=value, bound="a time with an offset"
            )
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Float64(TypeDecorator[float]):
    """An IEEE 754 double, stored bit for bit."""

    impl = Double(53)
    cache_ok = True

    def process_bind_param(self, value: float | None, _dialect: Dialect) -> float | None:
        # an integer would be stored as an integer in a SQLite column without affinity
        return None if value is None else float(value)


@compiles(Float64, "sqlite")
def _float64_on_sqlite(_type: Float64, _compiler: TypeCompiler, **_: Any) -> str:
    return "BLOB"


def words(enumeration: type[StrEnum], name: str) -> Enum:
    """A text column that holds the values of `enumeration` and is checked by the constraint `name`."""
    return Enum(
        enumeration,
        values_callable=lambda members: [member.value for member in members],
        native_enum=False,
        create_constraint=True,
        name=name,
        length=32,
    )
