"""Settings of an evaluation: a file or flags, every name known, every value in its bounds."""

from pathlib import Path

import pytest

from models.clinical.errors import InvalidInput, UnreadableSource
from pipelines.evaluate.flags import settings_of
from pipelines.evaluate.settings import EvaluationSettings, SourceSettings, read_settings

EXAMPLE = Path(__file__).parents[2] / "experiments" / "evaluate.toml"
LEAST = 'models = ["news2"]\n[[sources]]\nname = "cinc2019"\npath = "a.zip"\n'


def read(folder: Path, text: str) -> EvaluationSettings:
    path = folder / "run.toml"
    path.write_text(text, encoding="utf-8")
    return read_settings(path)


def test_the_example_is_read_as_it_stands() -> None:
    settings = read_settings(EXAMPLE)
    assert [source.called for source in settings.sources] == ["A", "B"]
    assert [policy.k for policy in settings.policies] == [1, 2]
    assert settings.policies[0].policy(0.25).threshold == 0.25
    assert settings.bootstrap.draws == 500


def test_what_a_file_leaves_out_keeps_its_default(tmp_path: Path) -> None:
    found = read(tmp_path, LEAST)
    assert found == EvaluationSettings((SourceSettings("cinc2019", Path("a.zip")),), ("news2",))
    assert found.sources[0].part == "held-out"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (LEAST + "speed = 3\n", "sources: unknown speed"),
        ("speed = 3\n" + LEAST, "unknown speed; there are: .*window_hours"),
        ('models = ["news2"]\n', "at least one source"),
        (LEAST.replace('"news2"', '"news2", "news2"'), "at least one model, each once"),
        (LEAST + 'part = "test"\n', "part 'test' is none of held-out"),
        (LEAST + "[[policies]]\nthreshold = 1.2\n", "0 <= release <= threshold <= 1"),
        (LEAST + "[[policies]]\nk = 3\nn = 2\n", "needs 1 <= k <= n"),
        (LEAST + '[subgroups]\nby = ["colour"]\n', "subgroups by 'colour'"),
        (LEAST + "[bootstrap]\ndraws = 0\n", "bootstrap of 0 draws"),
        ('trained_at = "a"\n' + LEAST, "trained_at 'a'; expected a list of texts"),
        ("trained_at = [1]\n" + LEAST, r"trained_at \[1\]; expected a list of texts"),
        ("horizon_hours = 2.5\n" + LEAST, "horizon_hours 2.5; expected a whole number"),
        ("horizon_hours = true\n" + LEAST, "horizon_hours True; expected a whole number"),
        ("horizon_hours = 49\n" + LEAST, "horizon_hours 49; expected from 0 to 48 h"),
        ('window_hours = "a"\n' + LEAST, "window_hours 'a'; expected a number"),
        ("window_hours = nan\n" + LEAST, "window_hours nan; expected a number"),
        ("window_hours = 1e9\n" + LEAST, "window_hours 1000000000.0; expected above 0, at most 8760 h"),
        ("shuffles = 1.5\n" + LEAST, "shuffles 1.5; expected a whole number"),
        ("shuffles = -1\n" + LEAST, "shuffles -1; expected >= 0"),
        ("misses = -1\n" + LEAST, "misses -1; expected >= 0"),
        ("false_alarms = -2\n" + LEAST, "false_alarms -2; expected >= 0"),
        ("workers = 0\n" + LEAST, "workers 0; expected >= 1"),
        (LEAST.replace('["news2"]', '"news2"'), "models 'news2'; expected a list of texts"),
        (LEAST.replace('["news2"]', '["news2", 3]'), r"models \['news2', 3\]; expected a list of texts"),
        ('sources = "a.zip"\nmodels = ["news2"]\n', r"sources 'a.zip'; expected tables, each headed \[\["),
        ('sources = ["a.zip"]\nmodels = ["news2"]\n', "sources 'a.zip'; expected a table of settings"),
        ("bootstrap = 100\n" + LEAST, "bootstrap 100; expected a table of settings"),
        (LEAST + "first = 0\n", "first 0; expected >= 1 stay"),
        (LEAST + "labels = 3\n", "sources: labels 3; expected a path"),
        (LEAST + "[bootstrap]\ndraws = 10.5\n", "bootstrap: draws 10.5; expected a whole number"),
        (LEAST + "[bootstrap]\nseed = -1\n", "bootstrap seed -1; expected >= 0"),
        (LEAST + "[subgroups]\nage_edges = []\n", r"age_edges \[\]; expected at least one, in years"),
        (LEAST + '[subgroups]\nage_edges = ["a"]\n', r"age_edges \['a'\]; expected a list of numbers"),
        (LEAST + "[subgroups]\nage_edges = [65, 45]\n", r"age_edges \[65, 45\]; expected .* increasing"),
        (LEAST + "[[policies]]\nk = 1.5\n", "policies: k 1.5; expected a whole number"),
        (LEAST + "[[policies]]\nrefractory_hours = -1\n", "refractory_hours -1; expected from 0 to 8760 h"),
        (LEAST + "[[policies]]\non_delay_hours = 1e300\n", "on_delay_hours 1e.300; expected a number"),
        ('engine = "dask"\n' + LEAST, "engine 'dask' is none of single, processes, ray"),
        (LEAST + '[[sources]]\nname = "cinc2019"\npath = "other/a.zip"\n', "site needs a name of its own"),
    ],
)
def test_a_mistake_is_named_with_its_file(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said) as caught:
        read(tmp_path, text)
    assert str(tmp_path / "run.toml") in str(caught.value)


def test_a_file_that_is_no_toml_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnreadableSource, match=r"run\.toml: expected a TOML file"):
        read(tmp_path, "models = [")


def flags(config: Path | None = None, source: str | None = None, **more: object) -> EvaluationSettings:
    given: dict[str, object] = {
        "models": None,
        "labels": None,
        "part": "all",
        "engine": None,
        "workers": None,
    }
    path = Path("a.zip") if source else None
    return settings_of(config, source, path, **(given | more))  # type: ignore[arg-type]


def test_flags_are_short_for_a_file_with_one_source() -> None:
    found = flags(source="cinc2019", models=["news2"], workers=3, engine="single")
    source = SourceSettings("cinc2019", Path("a.zip"), part="all")
    assert found == EvaluationSettings((source,), ("news2",), engine="single", workers=3)


def test_a_file_takes_engine_and_workers_from_the_flags_and_nothing_else(tmp_path: Path) -> None:
    read(tmp_path, LEAST)
    found = flags(tmp_path / "run.toml", engine="ray", workers=5)
    assert (found.engine, found.workers) == ("ray", 5)
    assert found.hash == read(tmp_path, LEAST).hash
    with pytest.raises(InvalidInput, match="not both"):
        flags(tmp_path / "run.toml", models=["news2"])
    with pytest.raises(InvalidInput, match="at least one --model"):
        flags(source="cinc2019")
