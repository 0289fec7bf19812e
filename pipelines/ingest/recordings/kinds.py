"""Channels that are no electrodes of the brain, told by their names where no table states types.

EDF+ begins a label with the type of its signal (Kemp and Olivan 2003, doi:10.1016/S1388-2457(03)00123-8),
and laboratories call such channels so without it. Words that may name a shaft (`DC`, `TEMP`, `P`) tell
nothing: an electrode that is left out is worse than a heart that is scored.
"""

from __future__ import annotations

import re

_OTHERS = re.compile(r"(ECG|EKG|EOG|EMG|RESP|SAO2|SPO2|TRIG|TRIGGER|STATUS)(?![A-Z])[ _-]?.*", re.IGNORECASE)


def kind_of(name: str) -> str:
    """The type that a channel's name begins with, "" where that may be an electrode."""
    found = _OTHERS.fullmatch(name.strip())
    return found[1].upper() if found else ""
