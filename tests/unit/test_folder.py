"""What every saved model has: a description, weights beside it, and a version of both."""

import json
from pathlib import Path

import pytest

from models.clinical.errors import UnknownModel
from models.folder import check_saved_for, read_description, version_of, write_folder


def test_what_was_written_is_read(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "model"
    write_folder(folder, json.dumps({"model": "one"}), {"weights.bin": b"\x00\xff"})
    assert read_description(folder, "weights.bin") == {"model": "one"}
    assert (folder / "weights.bin").read_bytes() == b"\x00\xff"


def test_the_version_is_of_description_and_weights() -> None:
    # printf abc | sha256sum
    assert version_of("a", b"bc") == version_of("abc", b"") == "ba7816bf8f01"
    assert version_of("a", b"bd") != version_of("a", b"bc")


@pytest.mark.parametrize("missing", ["model.json", "weights.bin"])
def test_a_folder_without_one_of_its_files_is_refused(tmp_path: Path, missing: str) -> None:
    write_folder(tmp_path, "{}", {"weights.bin": b""})
    (tmp_path / missing).unlink()
    with pytest.raises(UnknownModel, match=r"expected model\.json and weights\.bin"):
        read_description(tmp_path, "weights.bin")


def test_a_model_saved_for_other_inputs_is_refused_by_their_name(tmp_path: Path) -> None:
    fields = {"variables": ["heart_rate"], "channels": 3}
    check_saved_for(tmp_path, fields, variables=["heart_rate"], channels=3)
    with pytest.raises(UnknownModel, match="other channels"):
        check_saved_for(tmp_path, fields, variables=["heart_rate"], channels=4)
