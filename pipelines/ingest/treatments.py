"""What a free text says was done: which antibacterial was given, what was cultured, which vasopressor runs.

The lists are data, reviewed by eye: `codes/antibiotics.csv` (names, brands and abbreviations, with the routes
by which the drug reaches the blood), `routes.csv`, `specimens.csv` and `vasopressors.csv`. All of them are
matched as whole words of the text's letters, so salts, strengths and capitals do not matter.

Counted are systemic antibacterials, as in the MIMIC list of suspicion of infection (Seymour et al. 2016,
doi:10.1001/jama.2016.0288), with rifampicin and streptomycin; antifungals, antivirals and drugs that act
against mycobacteria or parasites alone are not. Ours differs from that list where it counts what never
reaches the blood: vancomycin by mouth, neomycin, mupirocin, enemas, inhaled drugs and catheter locks.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

from models.clinical.interventions import InterventionKind

_CODES = Path(__file__).parent / "codes"
_LETTERS = re.compile(r"[a-z]+")

# forms that stay where they are put, and texts that name a drug without giving it
_LOCAL_FORM = re.compile(
    r"\b(ophth\w*|opth|opht|eye|otic|ear|gtts?|drops?|oint|ointment|cream|crea|lotion|topical|vag\w*|irrig\w*"
    r"|inhal\w*|inh|nebu?|nebuli\w*|nasal|nares|lock|dwell|flush|intravitreal|ivt|intracameral|intrathecal"
    r"|intraventricular|intraperitoneal|enema|rectal|supp|suppository|mouthwash|rinse|swish|beads?|cement"
    r"|spray|shampoo|foam|dental|(op|ot|ex|va|na|mt|re) (soln|susp|oint|gel|powd|supp)|in (soln|nebu|aers))\b"
)
_NOT_GIVEN = re.compile(
    r"\b(allerg\w*|desens\w*|skin test\w*|challenge|consult|to dose|dosing|level|levels|trough|random|peak"
    r"|placebo|assess|study)\b"
)
_ALLERGY_STRENGTH = re.compile(r"\b1:1,?000\b")  # epinephrine for a muscle; infusions are mixed from less
_ORAL_FORM = re.compile(r"\b(oral|orally|po|caps?|capsules?|tabs?|tablets?|elixir|syrup)\b")


@cache
def _rows(file: str) -> tuple[Mapping[str, str], ...]:
    with (_CODES / file).open(encoding="utf-8", newline="") as lines:
        return tuple(csv.DictReader(lines))


@cache
def _column(file: str, key: str, value: str) -> Mapping[str, str]:
    return {row[key]: row[value] for row in _rows(file)}


def _words(text: str) -> str:
    """The words of a text, its runs of letters; figures go, so `1g` is `g`."""
    return " ".join(_LETTERS.findall(text.casefold()))


_Row = Mapping[str, str]


@dataclass(frozen=True)
class _Phrases:
    """Rows by the words that name them, `longest` at most; an `open_ended` name goes on in its last word."""

    whole: Mapping[str, _Row]
    open_ended: tuple[tuple[str, _Row], ...]
    longest: int

    def named_in(self, words: str) -> Iterator[_Row]:
        """The rows named in a text, in its order, the longest name where several begin."""
        parts, index = words.split(), 0
        while index < len(parts):
            for count in range(self.longest, 0, -1):
                if row := self._named(parts[index : index + count]):
                    yield row
                    break
            index += count if row else 1

    def _named(self, parts: list[str]) -> _Row | None:
        phrase = " ".join(parts)
        begun = (
            row
            for name, row in self.open_ended
            if name.count(" ") == len(parts) - 1 and phrase.startswith(name)
        )
        return self.whole.get(phrase) or next(begun, None)


@cache
def _phrases(file: str, column: str) -> _Phrases:
    rows = {row[column]: row for row in _rows(file)}
    return _Phrases(
        {name: row for name, row in rows.items() if not name.endswith("*")},
        tuple((name[:-1], row) for name, row in rows.items() if name.endswith("*")),
        max(len(name.split()) for name in rows),
    )


@lru_cache(maxsize=4096)  # bounded: texts come from outside
def antibiotic(drug: str, route: str | None) -> str | None:
    """The ingredients of a systemic antibacterial (lower case, partners joined by `/`), None for all else.

    A route that does not tell how (`MISC`, nothing) leaves it to the drug's text; without any sign there, the
    drug is taken to be given by a route that works.
    """
    words = _words(drug)
    found = list(_phrases("antibiotics.csv", "name").named_in(words))
    if not found or _LOCAL_FORM.search(words) or _NOT_GIVEN.search(words):
        return None
    allowed, way = {row["routes"] for row in found}, _way(_words(route or ""), words)
    if way == "local" or "none" in allowed or (way == "enteral" and "parenteral" in allowed):
        return None
    return "/".join(dict.fromkeys(part for row in found for part in row["ingredient"].split("/")))


def _way(route: str, drug: str) -> str:
    """How a drug goes in: parenteral, enteral, local or unknown; its own text may say that it is oral."""
    ways = _column("routes.csv", "name", "way")
    way = ways.get(route) or next((ways[word] for word in route.split() if word in ways), "unknown")
    return "enteral" if way != "local" and _ORAL_FORM.search(drug) else way


@lru_cache(maxsize=4096)
def is_culture(specimen: str, test: str = "") -> bool:
    """Whether a microbiology specimen (and test, where the source tells) was taken to find an infection.

    True for cultures and smears of body fluids, tissue, devices and swabs. Not for surveillance screens,
    serology, virology, parasites, or antigen, toxin and nucleic acid tests, so not for C. difficile either;
    a stool without a test is taken to be cultured.
    """
    named = list(_phrases("specimens.csv", "words").named_in(_words(f"{specimen} {test}")))
    return bool(named) and all(row["culture"] == "yes" for row in named)


def vasopressor(drug: str) -> InterventionKind | None:
    """The vasopressor or inotrope that a text names; None where it is inhaled, local or for eye and nose."""
    agent = vasopressor_agent(drug)
    return InterventionKind(_column("vasopressors.csv", "agent", "kind")[agent]) if agent else None


@lru_cache(maxsize=4096)
def vasopressor_agent(drug: str) -> str | None:
    """The ingredient of `vasopressor`."""
    if _ALLERGY_STRENGTH.search(drug):
        return None
    named = list(_phrases("vasopressors.csv", "name").named_in(_words(drug)))
    return named[0]["agent"] if named and all(row["kind"] for row in named) else None


# above these a rate is a slip of the unit; in the unit of the kind
_HIGHEST_RATE = {
    InterventionKind.NOREPINEPHRINE: 10.0,
    InterventionKind.EPINEPHRINE: 10.0,
    InterventionKind.DOPAMINE: 100.0,
    InterventionKind.DOBUTAMINE: 100.0,
    InterventionKind.PHENYLEPHRINE: 50.0,
    InterventionKind.VASOPRESSIN: 1.0,
    InterventionKind.OTHER_VASOPRESSOR: 50.0,
}
_WEIGHTS_KG = (1.0, 500.0)  # 1 kg stands where nobody was weighed
_RATE_UNIT = re.compile(
    r"(?P<mass>mcg|ug|µg|μg|mg|ng|nanograms?|micrograms?|milligrams?|g|grams?|milliunits?|mu|units?|u|iu)"
    r"(?P<per_kg>[/.]?kg)?[/.]?(?P<time>min|minute|hr|h|hour)"
)
_MICROGRAMS = {"mcg": 1.0, "ug": 1.0, "µg": 1.0, "μg": 1.0, "microgram": 1.0, "ng": 1e-3, "nanogram": 1e-3}
_MICROGRAMS |= {"mg": 1e3, "milligram": 1e3, "g": 1e6, "gram": 1e6}
_UNITS = {"u": 1.0, "iu": 1.0, "unit": 1.0, "mu": 1e-3, "milliunit": 1e-3}


def rate_in_canonical_unit(
    kind: InterventionKind, value: float, unit: str, weight_kg: float | None
) -> float | None:
    """A vasopressor's rate in ug/kg/min, vasopressin's in U/min; None where it cannot be known.

    That is a volume rate, an unknown unit, mass for vasopressin or units for another, a weight that is needed
    and absent, a negative rate or one above what anybody is given; and any other kind of intervention. A rate
    of 0 is 0 in every unit: the infusion stands still.
    """
    parsed = _RATE_UNIT.fullmatch("".join(unit.casefold().split()))
    highest = _HIGHEST_RATE.get(kind)
    if highest is not None and value == 0:
        return 0.0
    if parsed is None or highest is None or not 0 <= value < math.inf:
        return None
    in_units = kind is InterventionKind.VASOPRESSIN
    factor = (_UNITS if in_units else _MICROGRAMS).get(parsed["mass"].removesuffix("s"))
    if factor is None:
        return None
    rate = value * factor / (60.0 if parsed["time"].startswith("h") else 1.0)
    if bool(parsed["per_kg"]) == in_units:  # per kilogram is asked for and not given, or the other way round
        if weight_kg is None or not _WEIGHTS_KG[0] < weight_kg <= _WEIGHTS_KG[1]:
            return None
        rate = rate * weight_kg if in_units else rate / weight_kg
    return rate if rate <= highest else None
