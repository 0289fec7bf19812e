"""Nobody is evaluated by a model that learnt from them."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from shutil import copytree

import pytest

from models import registry
from models.clinical.errors import InvalidInput
from models.clinical.stay import Stay
from pipelines.evaluate.seen import Seen, holds
from pipelines.split import held_out, split_of

TRAINED, HELD_OUT = "p000000", next(f"p{n:06}" for n in range(99) if split_of(f"p{n:06}") == "test")
STAY = Stay(TRAINED, TRAINED, datetime(2019, 1, 1, tzinfo=UTC), source="cinc2019")
OF_B = replace(
    STAY, stay_id="p100000", subject_id=next(f"p1{n:05}" for n in range(99) if not held_out(f"p1{n:05}"))
)
SET_A, SET_B = Path("training_setA.zip"), Path("training_setB.zip")
ON_A = Seen("boosted", frozenset({"training_setA"}), "training_setA")


def test_the_shipped_model_says_what_it_learnt_from() -> None:
    assert Seen.by(registry.load("mgp-tcn")).sets == {"training_setA", "training_setB"}
    assert Seen.by(registry.load("news2")).sets == frozenset()


def test_a_subject_of_the_training_is_refused_by_name() -> None:
    with pytest.raises(InvalidInput, match=r"training_setA\.zip: subject p000000 of stay p000000 .* boosted"):
        ON_A.require_unseen(SET_A, STAY)
    with pytest.raises(InvalidInput, match="held-out"):
        ON_A.require_unseen(Path("some folder"), STAY)  # may be any of them


def trained_on(source: str | None, folder: Path) -> Seen:
    """What the shipped network has seen, were that the source that its description names."""
    copytree(registry.shipped("mgp-tcn"), folder)
    told = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    told["training"]["source"] = source
    (folder / "model.json").write_text(json.dumps(told), encoding="utf-8")
    return Seen.by(registry.load(str(folder)))


@pytest.mark.parametrize("source", ["psv", "training_setA + psv", "training_setAB", "", None])
def test_files_that_name_no_set_may_hold_any_subject(source: str | None, tmp_path: Path) -> None:
    seen = trained_on(source, tmp_path / "model")
    for there in (SET_A, SET_B, Path("psv")):
        with pytest.raises(InvalidInput, match=r"p000000 of stay p000000 is one that mgp-tcn .* held-out"):
            seen.require_unseen(there, STAY)
        seen.require_unseen(there, replace(STAY, subject_id=HELD_OUT))
    seen.require_unseen(SET_A, replace(STAY, source="mimic4"))


def refuses(seen: Seen, source: Path, stay: Stay) -> bool:
    try:
        seen.require_unseen(source, stay)
    except InvalidInput:
        return True
    return False


def test_everybody_else_may_be_evaluated() -> None:
    asked = {
        "whom it learnt from": (ON_A, SET_A, STAY),
        "another set": (ON_A, SET_B, OF_B),
        "another set's name on whom it learnt from": (ON_A, SET_B, STAY),
        "its own set's name on another": (ON_A, SET_A, OF_B),
        "no number": (ON_A, SET_B, replace(STAY, stay_id="1")),
        **{name: (ON_A, Path(name), OF_B) for name in ("training_setAB", "my_training_setB", "set_B", "B")},
        "held out": (ON_A, SET_A, replace(STAY, subject_id=HELD_OUT)),
        "another source": (ON_A, SET_A, replace(STAY, source="mimic4")),
        "by a rule": (Seen("news2", frozenset(), ""), SET_A, STAY),
    }
    refused = [name for name, (seen, source, stay) in asked.items() if refuses(seen, source, stay)]
    assert refused == [
        "whom it learnt from",
        "another set's name on whom it learnt from",
        "its own set's name on another",
        "no number",
        "training_setAB",
        "my_training_setB",
        "set_B",
        "B",
    ]


def test_a_folder_of_both_sets_is_no_other_set() -> None:
    on_b = Seen("boosted", frozenset({"training_setB"}), "training_setB")
    with pytest.raises(InvalidInput, match=r"call the source by its set, .* or evaluate part held-out"):
        on_b.require_unseen(Path("training_setAB"), OF_B)
    on_b.require_unseen(Path("training_setAB"), replace(OF_B, subject_id=HELD_OUT))


def test_parts_split_the_subjects_of_the_challenge_and_no_others() -> None:
    held = {part: holds(part)(STAY) for part in ("all", "train", "validation", "held-out")}
    assert held == {"all": True, "train": True, "validation": False, "held-out": False}
    assert holds("held-out")(replace(STAY, source="mimic4"))
    assert not holds("train")(replace(STAY, source="mimic4"))
