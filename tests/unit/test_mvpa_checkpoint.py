"""Checkpoints under the released names are read as data, and every name in them is accounted for."""

from __future__ import annotations

import logging
import os
import pickle
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from models.clinical.errors import InvalidInput, UnreadableSource
from models.mvpa import MVPAConfig, MVPFormer, load_checkpoint
from models.mvpa.checkpoint import UnfitCheckpoint

CONFIG = MVPAConfig(24, 2, 6, 2, 40, 8, 6, 64)
KEYS = CONFIG.key_width


def released(prefix: str = "genie.", head_rows: int = 2, seed: int = 0) -> dict[str, Tensor]:
    """A state dict of random weights under the names of the release."""
    draw = torch.Generator().manual_seed(seed)

    def weight(*shape: int) -> Tensor:
        return 0.2 * torch.randn(*shape, generator=draw)

    state = {"encoder.ln.weight": 1 + weight(CONFIG.segment_values), "seizure_embeddings": weight(30, 24)}
    state["encoder.proj.weight"] = weight(24, CONFIG.segment_values)
    state["head.head.weight"] = weight(head_rows, 24)
    state[f"{prefix}positional_embedding.weight"] = weight(8, 24)
    state[f"{prefix}channel_embedding.weight"] = weight(6, 24)
    state[f"{prefix}ln_f.weight"] = 1 + weight(24)
    for layer in range(CONFIG.layers):
        at = f"{prefix}h.{layer}."
        state |= {f"{at}{norm}.weight": 1 + weight(24) for norm in ("ln_1", "ln_2")}
        state |= {f"{at}attn.{name}.weight": weight(24, 24) for name in ("q_attn", "c_proj")}
        state |= {f"{at}attn.{name}.weight": weight(KEYS, 24) for name in ("position_net", "channel_net")}
        state[f"{at}attn.c_attn.weight"] = weight(2 * KEYS, 24)
        state[f"{at}attn.attn_bias"] = weight(3 * KEYS)
        state[f"{at}attn.time_bias"] = torch.ones(8, 8, dtype=torch.bool)
        state[f"{at}attn.masked_bias"] = torch.tensor(-1e4)
        state |= {f"{at}mlp.{name}_proj.weight": weight(40, 24) for name in ("gate", "up")}
        state[f"{at}mlp.down_proj.weight"] = weight(24, 40)
    return state


def segments() -> Tensor:
    return 40.0 * torch.randn(2, 5, 4, 64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("prefix", ["genie.", "mvpformer."])
def test_either_prefix_gives_the_same_network(prefix: str) -> None:
    model = load_checkpoint(released(prefix), CONFIG)
    expected = load_checkpoint(released("genie."), CONFIG)
    assert torch.equal(model.classify(segments()), expected.classify(segments()))
    assert torch.equal(model.layers[1].attn.attn_bias, released()["genie.h.1.attn.attn_bias"])


def test_a_classifier_classifies_and_a_generator_predicts() -> None:
    classifier, generator = (load_checkpoint(released(head_rows=rows), CONFIG) for rows in (2, 24))
    assert classifier.classify(segments()).shape == (2, 2)
    assert generator.predict_next(segments()).shape == (2, 5, 4, 24)
    with pytest.raises(InvalidInput, match="without a generative head"):
        classifier.predict_next(segments())
    with pytest.raises(InvalidInput, match="without a classifier head"):
        generator.classify(segments())


def test_from_a_file(tmp_path: Path) -> None:
    torch.save(released(), tmp_path / "weights.pt")
    expected = load_checkpoint(released(), CONFIG).classify(segments())
    for path in (tmp_path / "weights.pt", str(tmp_path / "weights.pt")):
        assert torch.equal(load_checkpoint(path, CONFIG).classify(segments()), expected)


def test_the_given_tensors_are_not_shared() -> None:
    state = released()
    model = load_checkpoint(state, CONFIG)
    before = model.classify(segments())
    for value in state.values():
        value.zero_()
    assert torch.equal(model.classify(segments()), before)


def test_its_own_state_dict_comes_back() -> None:
    torch.manual_seed(0)
    model = MVPFormer(CONFIG)
    again = load_checkpoint(model.state_dict(), CONFIG)
    assert torch.equal(again.predict_next(segments()), model.predict_next(segments()))
    assert torch.equal(again.classify(segments()), model.classify(segments()))


def test_loading_draws_no_random_number() -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    load_checkpoint(released(), CONFIG)
    assert torch.equal(torch.get_rng_state(), before)


def test_what_is_not_used_is_named_once(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        load_checkpoint(released(), CONFIG)
    (record,) = caplog.records
    for name in ("h.0.ln_2.weight", "h.1.attn.time_bias", "h.1.attn.masked_bias", "seizure_embeddings"):
        assert name in record.getMessage()


@pytest.mark.parametrize(
    "name", ["genie.h.1.attn.q_attn.weight", "genie.ln_f.weight", "encoder.proj.weight", "head.head.weight"]
)
def test_a_missing_name_is_named(name: str) -> None:
    state = released()
    del state[name]
    with pytest.raises(InvalidInput, match=f"missing {name}"):
        load_checkpoint(state, CONFIG)


@pytest.mark.parametrize("name", ["genie.h.0.attn.extra", "genie.h.2.ln_1.weight", "encoder.proj.bias"])
def test_an_unknown_name_is_named(name: str) -> None:
    with pytest.raises(UnreadableSource, match=f"unknown {name}"):
        load_checkpoint(released() | {name: torch.zeros(3)}, CONFIG)


@pytest.mark.parametrize(
    ("name", "shape", "needed"),
    [
        ("genie.h.1.attn.c_attn.weight", (15, 24), r"\(15, 24\).*\(16, 24\)"),
        ("genie.h.0.attn.attn_bias", (3, 8), r"\(3, 8\).*\(24,\)"),
        ("genie.positional_embedding.weight", (7, 24), r"\(7, 24\).*\(8, 24\)"),
        ("head.head.weight", (3, 24), r"\(3, 24\).*\(24, 24\) or \(2, 24\)"),
    ],
)
def test_a_wrong_shape_is_named_with_the_right_one(name: str, shape: tuple[int, ...], needed: str) -> None:
    with pytest.raises(InvalidInput, match=f"the state dict: {name} has shape {needed}"):
        load_checkpoint(released() | {name: torch.zeros(shape)}, CONFIG)


def test_the_same_name_under_two_prefixes_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"twice, as genie\.ln_f\.weight and as mvpformer\.ln_f\.weight"):
        load_checkpoint(released() | {"mvpformer.ln_f.weight": torch.ones(24)}, CONFIG)


@pytest.mark.parametrize(("name", "shape"), [("genie.ln_f.weight", (24,)), ("head.head.weight", (2, 24))])
def test_weights_that_are_no_numbers_are_refused(name: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(InvalidInput, match=f"the state dict: {name} .* no finite number"):
        load_checkpoint(released() | {name: torch.full(shape, torch.nan)}, CONFIG)


def test_a_file_without_prefixes_is_named_without_them() -> None:
    state = released("")
    del state["h.1.attn.attn_bias"]
    with pytest.raises(InvalidInput, match=r"missing h\.1\.attn\.attn_bias"):
        load_checkpoint(state, CONFIG)


class Trap:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (self.folder,)


@pytest.mark.parametrize("writer", ["torch", "pickle"])
def test_a_pickle_is_refused_and_never_executed(tmp_path: Path, writer: str) -> None:
    trap, file = tmp_path / "sprung", tmp_path / "weights.pt"
    content = released() | {"extra": Trap(str(trap))}
    if writer == "torch":
        torch.save(content, file)
    else:
        file.write_bytes(pickle.dumps(content))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UnreadableSource) as refused:
            load_checkpoint(file, CONFIG)
    assert str(refused.value) == (
        "weights.pt: not a plain state dict: it holds more than tensors and was refused; nothing was executed"
    )
    assert isinstance(refused.value.__cause__, pickle.UnpicklingError)
    assert not trap.exists()


@pytest.mark.parametrize("content", [[1, 2], {"state_dict": {"a": torch.ones(1)}}, {3: torch.ones(1)}])
def test_what_is_no_state_dict_is_refused(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "weights.pt")
    with pytest.raises(UnreadableSource, match=r"weights\.pt"):
        load_checkpoint(tmp_path / "weights.pt", CONFIG)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "an empty file, not a checkpoint"),
        (b"not a checkpoint", "not a checkpoint as torch.save writes it"),
        (b"PK\x03\x04 cut off", "not a whole checkpoint: the file is cut off or damaged"),
    ],
)
def test_a_file_that_is_no_checkpoint_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "weights.pt").write_bytes(content)
    with pytest.raises(UnreadableSource) as refused:
        load_checkpoint(tmp_path / "weights.pt", CONFIG)
    assert str(refused.value) == f"weights.pt: {said}"


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("kept", [1 / 100, 1 / 2])
def test_a_truncated_checkpoint_is_called_so(tmp_path: Path, zipped: bool, kept: float) -> None:
    path = tmp_path / "weights.pt"
    torch.save(released(), path, _use_new_zipfile_serialization=zipped)
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    with pytest.raises(UnreadableSource, match=r"^weights\.pt: not a whole checkpoint: the file is cut off"):
        load_checkpoint(path, CONFIG)


def test_a_damaged_checkpoint_is_called_so(tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    torch.save(released(), path)
    whole = path.read_bytes()
    weight = whole.index(released()["genie.ln_f.weight"].numpy().tobytes())
    path.write_bytes(whole[:weight] + bytes(4) + whole[weight + 4 :])
    with pytest.raises(UnreadableSource, match=r"^weights\.pt: damaged: a part of the file"):
        load_checkpoint(path, CONFIG)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (Tensor.to_sparse, "sparse_coo"),
        (lambda value: torch.quantize_per_tensor(value, 0.1, 0, torch.qint8), "quantized"),
        (lambda value: value.to("meta"), "without its numbers"),
    ],
)
def test_a_tensor_that_is_not_dense_is_named(
    kind: Callable[[Tensor], Tensor], said: str, tmp_path: Path
) -> None:
    path, state = tmp_path / "weights.pt", released()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's of quantized tensors, which it will give up
        state["genie.ln_f.weight"] = kind(state["genie.ln_f.weight"])
        torch.save(state, path)
        for given in (path, state):
            with pytest.raises(UnfitCheckpoint, match=rf"genie\.ln_f\.weight is no plain tensor.*{said}"):
                load_checkpoint(given, CONFIG)


def test_no_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnreadableSource, match="no such checkpoint file"):
        load_checkpoint(tmp_path / "weights.pt", CONFIG)


@pytest.mark.parametrize("rows", [KEYS, 2 * KEYS])
def test_adapters_are_added_to_the_weight_beside_them(rows: int) -> None:
    state, base = released(), "genie.h.1.attn."
    for name, height in (("q_attn", 24), ("c_attn", rows)):
        state[f"{base}{name}.lora_A"] = torch.randn(4, 24)
        state[f"{base}{name}.lora_B"] = torch.randn(height, 4)
    loaded = load_checkpoint(state, CONFIG).layers[1].attn
    delta = 16 / 4 * state[f"{base}q_attn.lora_B"] @ state[f"{base}q_attn.lora_A"]
    torch.testing.assert_close(loaded.q_attn.weight, state[f"{base}q_attn.weight"] + delta)
    expected = state[f"{base}c_attn.weight"].clone()
    expected[2 * KEYS - rows :] += 16 / 4 * state[f"{base}c_attn.lora_B"] @ state[f"{base}c_attn.lora_A"]
    torch.testing.assert_close(loaded.c_attn.weight, expected)


@pytest.mark.parametrize(
    ("name", "first", "second", "named"),
    [
        ("q_attn", (4, 24), (23, 4), r"q_attn.lora_B has shape \(23, 4\).*\(24, 4\)"),
        ("c_attn", (4, 24), (12, 4), r"c_attn.lora_B has shape \(12, 4\).*\(8, 4\)"),
        ("c_attn", (4, 23), (8, 4), r"c_attn.lora_A has shape \(4, 23\).*\(4, 24\)"),
        ("c_attn", (4, 24), (8, 5), r"c_attn.lora_B has shape \(8, 5\).*\(8, 4\)"),
        ("c_proj", (4, 24), (24, 4), "unknown name genie.h.0.attn.c_proj.lora_A"),
    ],
)
def test_an_adapter_that_does_not_fit_is_named(
    name: str, first: tuple[int, int], second: tuple[int, int], named: str
) -> None:
    state, base = released(), f"genie.h.0.attn.{name}."
    state |= {f"{base}lora_A": torch.zeros(first), f"{base}lora_B": torch.zeros(second)}
    with pytest.raises(InvalidInput, match=named):
        load_checkpoint(state, CONFIG)


def test_half_an_adapter_is_refused() -> None:
    state = released() | {"genie.h.0.attn.q_attn.lora_A": torch.zeros(4, 24)}
    with pytest.raises(InvalidInput, match=r"missing genie\.h\.0\.attn\.q_attn\.lora_B"):
        load_checkpoint(state, CONFIG)


def test_an_adapter_of_another_rank_than_asked_for_is_refused() -> None:
    state, base = released(), "genie.h.0.attn.q_attn."
    state |= {f"{base}lora_A": torch.zeros(4, 24), f"{base}lora_B": torch.zeros(24, 4)}
    config = MVPAConfig(24, 2, 6, 2, 40, 8, 6, 64, lora_rank=8)
    with pytest.raises(InvalidInput, match=r"lora_A has shape \(4, 24\).*\(8, 24\)"):
        load_checkpoint(state, config)
