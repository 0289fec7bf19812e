"""One evaluation, however it is run: stopped and taken up again, on processes, on a cluster of two nodes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.engines import Engine
from pipelines.evaluate.run import evaluate
from pipelines.evaluate.settings import EvaluationSettings, SourceSettings
from pipelines.metrics.bootstrap import Bootstrap
from tests.conftest import MakeRecords

STAYS = 200  # four parts
PATIENCE_SECONDS = 600.0  # a busy machine


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory, made_records: MakeRecords) -> Path:
    return made_records(tmp_path_factory.mktemp("run") / "records", STAYS)


def settings(records: Path, engine: Engine) -> EvaluationSettings:
    source = SourceSettings("cinc2019", records, part="all")
    whole = EvaluationSettings((source,), ("news2",), bootstrap=Bootstrap(draws=5), shuffles=1)
    return replace(whole, engine=engine, workers=2)


@pytest.fixture(scope="module")
def uninterrupted(records: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Every file that one process writes in one go."""
    out = tmp_path_factory.mktemp("single")
    evaluate(settings(records, "single"), out)
    return files(out)


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_run_that_was_killed_goes_on_to_the_same_files(
    records: Path, uninterrupted: dict[str, bytes], tmp_path: Path
) -> None:
    code = (
        "import sys; from pathlib import Path; from tests.integration.test_evaluation_run import *; "
        "evaluate(settings(Path(sys.argv[1]), 'single'), Path(sys.argv[2]))"
    )
    repository = Path(__file__).parents[2]
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(records), str(tmp_path)],
        cwd=repository,
        env=os.environ | {"PYTHONPATH": str(repository)},
    )
    try:
        end = time.monotonic() + PATIENCE_SECONDS
        while not list((tmp_path / "scores").glob("part-*.parquet")):
            assert process.poll() is None
            assert time.monotonic() < end, "waited for the first part"
            time.sleep(0.005)
    finally:
        process.send_signal(signal.SIGKILL)
    assert process.wait(timeout=PATIENCE_SECONDS) == -signal.SIGKILL
    assert not (tmp_path / "evaluation.json").exists()
    kept = tmp_path / "scores" / "part-00000.parquet"
    before = kept.stat().st_ino
    evaluate(settings(records, "single"), tmp_path)
    assert kept.stat().st_ino == before  # not scored again
    left = {name: content for name, content in files(tmp_path).items() if not name.endswith(".unfinished")}
    assert left == uninterrupted


def test_processes_write_what_one_process_writes(
    records: Path, uninterrupted: dict[str, bytes], tmp_path: Path
) -> None:
    evaluate(settings(records, "processes"), tmp_path)
    assert files(tmp_path) == uninterrupted


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """Two nodes on this machine, each with a core, and a connection to them."""
    ray = pytest.importorskip("ray", reason="ray is an optional extra")
    cluster_utils = pytest.importorskip("ray.cluster_utils")
    node = {"num_cpus": 1, "object_store_memory": 200 * 2**20, "include_dashboard": False}
    nodes = cluster_utils.Cluster(initialize_head=True, head_node_args=node)
    try:
        nodes.add_node(**node)
        ray.init(address=nodes.address, log_to_driver=False)
        assert len([one for one in ray.nodes() if one["Alive"]]) == 2
        yield
    finally:
        ray.shutdown()
        nodes.shutdown()


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::ResourceWarning")
def test_a_cluster_of_two_nodes_writes_what_one_process_writes(
    cluster: None, records: Path, uninterrupted: dict[str, bytes], tmp_path: Path
) -> None:
    evaluate(settings(records, "ray"), tmp_path)
    assert files(tmp_path) == uninterrupted
