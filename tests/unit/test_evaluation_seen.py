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
from pipelines.evaluate.run import evaluate
from pipelines.evaluate.seen import Seen, holds, require_trained_at
from pipelines.evaluate.settings import EvaluationSettings, SourceSettings
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


def sites(*trained_at: str, **paths: str) -> EvaluationSettings:
    """An evaluation at sites A, B and so on, each with its path; `ward` is a table, not of the challenge."""
    sources = [
        SourceSettings("table" if site == "ward" else "cinc2019", Path(path), site)
        for site, path in paths.items()
    ]
    return EvaluationSettings(tuple(sources), ("news2",), trained_at=trained_at)


BOTH = {"A": "training_setA.zip", "B": "training_setB.zip"}
RULE = Seen("news2", frozenset(), "")
UNTOLD = Seen("boosted", frozenset({"training_setA", "training_setB"}), "psv")


@pytest.mark.parametrize(
    ("settings", "model", "said"),
    [
        (sites("a", **BOTH), ON_A, "trained_at names 'a', no site .*: sites are A, B; files training_setA"),
        (sites("a", **BOTH), RULE, "trained_at names 'a', no site .*: sites are A, B$"),
        (sites("B", **BOTH), ON_A, "leaves out site A, but it is training_setA, which boosted learnt from"),
        (
            sites("A", "B", **BOTH),
            ON_A,
            r"names site B \(training_setB.zip\), but boosted learnt from training_setA",
        ),
        (sites("ward", ward="ward.csv"), ON_A, r"names site ward \(ward.csv\), but boosted learnt from"),
    ],
)
def test_where_models_learnt_is_what_they_say(settings: EvaluationSettings, model: Seen, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        require_trained_at(settings, [RULE, model])


def test_what_contradicts_nobody_is_believed() -> None:
    require_trained_at(sites(**BOTH), [ON_A])  # nothing is said
    require_trained_at(sites("A", **BOTH), [RULE, ON_A])
    require_trained_at(sites("training_setA", B="training_setB"), [ON_A])  # nobody evaluates where it learnt
    require_trained_at(sites("A", A="records", B="training_setB"), [ON_A])  # a copy of another name
    require_trained_at(sites("A", **BOTH), [RULE])
    require_trained_at(sites("A", **BOTH), [UNTOLD])
    require_trained_at(sites("ward", ward="ward.csv"), [UNTOLD])


def test_it_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="trained_at names 'a'"):
        evaluate(sites("a", **BOTH), tmp_path / "out")  # neither file is there
    assert not (tmp_path / "out").exists()
