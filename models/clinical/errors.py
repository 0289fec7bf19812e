"""The errors a caller may want to catch.

    EarlyWarningError
    ├── InvalidInput          (also a ValueError)  the caller gave something outside a stated bound
    │   ├── UnknownVariable                        no such variable or code in the catalogue
    │   └── UnacceptedUnit                         the unit is not one the variable accepts
    ├── UnreadableSource                           a file is missing, empty, truncated or lacks a column
    ├── UnknownModel                               no model or folder of that name
    └── ScoringFailed                              a model could not produce a score

Implausible data is not an error: it is quarantined, see `models.clinical.quarantine`.
"""


class EarlyWarningError(Exception):
    """Anything Prodrome raises on purpose."""


class InvalidInput(EarlyWarningError, ValueError):
    """A value lies outside its bound; the message names value, bound and unit."""

    def __init__(self, message: str, *, value: object = None, bound: str = "", unit: str = "") -> None:
        super().__init__(message)
        self.value = value
        self.bound = bound
        self.unit = unit


class UnknownVariable(InvalidInput):
    """A variable name or code that the catalogue does not hold."""


class UnacceptedUnit(InvalidInput):
    """A unit that the variable does not accept."""


class UnreadableSource(EarlyWarningError):
    """A source that cannot be read: the message names file, row and what was expected."""


class UnknownModel(EarlyWarningError):
    """A model name that the registry does not know, or a folder without a saved model."""


class ScoringFailed(EarlyWarningError):
    """A model failed numerically or is not loaded."""
