"""Released checkpoints: plain state dicts, read as data only, every name accounted for.

Under the prefix `genie.` or `mvpformer.`: `h.N.ln_1.weight`,
`h.N.attn.{q_attn,c_attn,position_net,channel_net, c_proj}.weight`, `h.N.attn.attn_bias`,
`h.N.mlp.{gate,up,down}_proj.weight`, `ln_f.weight`, `positional_embedding.weight`,
`channel_embedding.weight`. Outside it: `encoder.{ln,proj}.weight` and `head.head.weight`, (D, D) of the
generative model, (2, D) of the classifier. Not used: `h.N.ln_2.weight`, `h.N.attn.{time_bias,masked_bias}`,
`seizure_embeddings`. A network's own `state_dict()` is read as well.

An adapter (`q_attn.lora_A` and `lora_B`, `c_attn` alike) is added to the weight beside it. `lora_B` of c_attn
has KV d rows (of the values alone) or 2 KV d.
"""

from __future__ import annotations

import logging
import pickle
import re
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from models.clinical.errors import InvalidInput, UnreadableSource
from models.mvpa.adapters import merged
from models.mvpa.config import MVPAConfig
from models.mvpa.network import CLASSES, MVPFormer

LOGGER = logging.getLogger(__name__)

_PREFIX = re.compile(r"^(genie|mvpformer)\.")
_UNUSED = re.compile(r"(h\.\d+\.(ln_2\.weight|attn\.(time_bias|masked_bias))|seizure_embeddings)(\..*)?")
_UNPREFIXED = ("encoder.", "head.", "generative.", "classifier.")
_HEAD = "head.head.weight"
_HEADS = ("generative.weight", "classifier.weight")
_PICKLE, _ZIP = b"\x80", b"PK"  # what torch.save writes begins with one of them
_NAMED = 5  # missing or unknown names that a message lists


@dataclass(frozen=True)
class _Source:
    """What messages call a checkpoint and what is in it: `own` keys of the file by the network's names."""

    name: str
    own: Mapping[str, str]

    def key(self, name: str) -> str:
        """The file's own key for what the network calls `name`; what it lacks is named like the others."""
        if name in _HEADS and name not in self.own:
            name = _HEAD
        if name in self.own or name.startswith(_UNPREFIXED):
            return self.own.get(name, name)
        prefix = next((found[0] for key in self.own.values() if (found := _PREFIX.match(key))), "")
        return f"{prefix}{name}"


class UnfitCheckpoint(InvalidInput, UnreadableSource):
    """A checkpoint that is no state dict, or one whose names or shapes are not the network's."""


def load_checkpoint(path_or_state_dict: str | Path | Mapping[str, Tensor], config: MVPAConfig) -> MVPFormer:
    """The network of a checkpoint, in float32, ready to score; what it has no head for it refuses.

    Raises UnreadableSource where there is no such file, and UnfitCheckpoint (both InvalidInput and
    UnreadableSource) where it is no plain state dict, which is found out without executing any of it, or
    where a name is unknown or missing, or a shape is not that of `config`: the message names it as the file
    does, and both shapes.
    """
    if isinstance(path_or_state_dict, str | Path):
        name = Path(path_or_state_dict).name
        given = _checked(_read(Path(path_or_state_dict)), name)
    else:
        name = "the state dict"
        given = _checked(path_or_state_dict, name)
    source = _Source(name, _own_names(given, name))
    state = _used({short: given[key] for short, key in source.own.items()}, source)
    state = _with_adapters_merged(state, config, source)
    return _network(state, config, source)


def _read(path: Path) -> object:
    if not path.is_file():
        raise UnreadableSource(f"{path}: no such checkpoint file")
    try:
        with path.open("rb") as file:
            begins = file.read(2)
    except OSError as error:
        raise UnreadableSource(f"{path}: cannot be read: {error.strerror}") from error
    if zipfile.is_zipfile(path) and _damaged(path):  # torch does not look: weights would be other numbers
        raise UnfitCheckpoint(f"{path.name}: damaged: a part of the file is not what its checksum says")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's advice to whoever wrote the file
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a file that is no checkpoint fails in as many ways as there are files
        raise UnfitCheckpoint(f"{path.name}: {_refusal(path, begins, error)}") from error


def _refusal(path: Path, begins: bytes, error: Exception) -> str:
    """Why a file was not read, in our words: torch's own advise to execute it."""
    whole = zipfile.is_zipfile(path)
    if not begins:
        return "an empty file, not a checkpoint"
    if isinstance(error, pickle.UnpicklingError) and (whole or begins.startswith(_PICKLE)):
        return "not a plain state dict: it holds more than tensors and was refused; nothing was executed"
    if not whole and begins.startswith((_PICKLE, _ZIP)):
        return "not a whole checkpoint: the file is cut off or damaged"
    return "not a checkpoint as torch.save writes it"


def _damaged(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as parts:
            return parts.testzip() is not None
    except (zipfile.BadZipFile, OSError, EOFError):
        return True


def _checked(found: object, source: str) -> dict[str, Tensor]:
    """`found` as a state dict; raises UnfitCheckpoint unless it is names to tensors of finite numbers."""
    if not isinstance(found, Mapping):
        raise UnfitCheckpoint(f"{source}: holds {type(found).__name__}, not a state dict of names to tensors")
    for name, value in found.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise UnfitCheckpoint(f"{source}: {name!r} is {type(value).__name__}, not a tensor")
        if value.layout is not torch.strided or value.is_quantized or value.is_meta:
            raise UnfitCheckpoint(
                f"{source}: {name} is no plain tensor of numbers ({_kind(value)}); expected a dense one",
                value=name,
                bound="a dense tensor",
            )
    return dict(found)


def _kind(value: Tensor) -> str:
    """What sets a tensor apart from a dense one that holds its numbers."""
    if value.is_meta:
        return "without its numbers"
    return "quantized" if value.is_quantized else str(value.layout).removeprefix("torch.")


def _own_names(state: Mapping[str, Tensor], source: str) -> dict[str, str]:
    """Each name of the state by itself without its prefix."""
    own: dict[str, str] = {}
    for key in state:
        short = _PREFIX.sub("", key)
        if short in own:
            raise UnfitCheckpoint(
                f"{source}: {short} is there twice, as {own[short]} and as {key}", value=key, bound="once"
            )
        own[short] = key
    return own


def _used(state: dict[str, Tensor], source: _Source) -> dict[str, Tensor]:
    """The state without what the network has no use for, which is named in the log."""
    unused = sorted(name for name in state if _UNUSED.fullmatch(name))
    if unused:
        LOGGER.warning("%s: not used: %s", source.name, ", ".join(map(source.key, unused)))
    return {name: value for name, value in state.items() if name not in unused}


def _with_adapters_merged(state: dict[str, Tensor], config: MVPAConfig, source: _Source) -> dict[str, Tensor]:
    """The state with every adapter added to its weight."""
    merged_state = {name: value for name, value in state.items() if ".lora_" not in name}
    for base in sorted({name.rsplit(".", 1)[0] for name in state if ".lora_" in name}):
        weight = f"{base}.weight"
        names = (f"{base}.lora_A", f"{base}.lora_B")
        extra = {name for name in state if name.startswith(f"{base}.lora_")} - set(names)
        if extra or not base.endswith((".attn.q_attn", ".attn.c_attn")):
            raise UnfitCheckpoint(f"{source.name}: unknown name {source.key(min(extra or names))}")
        absent = [name for name in (weight, *names) if name not in state]
        if absent:
            key = source.key(absent[0])
            raise UnfitCheckpoint(f"{source.name}: missing {key}, beside {source.key(base)}")
        first, second = (state[name] for name in names)
        _check_adapter(names, first, second, config, source)
        _check_shape(weight, state[weight], _adapted_shape(base, config), source)
        merged_state[weight] = merged(state[weight].float(), first.float(), second.float(), config.lora_alpha)
    return merged_state


def _adapted_shape(base: str, config: MVPAConfig) -> tuple[int, int]:
    rows = config.width if base.endswith("q_attn") else 2 * config.key_width
    return rows, config.width


def _check_adapter(
    names: tuple[str, str], first: Tensor, second: Tensor, config: MVPAConfig, source: _Source
) -> None:
    """Raise UnfitCheckpoint unless A is (r, D) and B (rows, r), rows of the weight or of the values alone."""
    of_queries = names[0].endswith("q_attn.lora_A")
    rank = config.lora_rank or (first.shape[0] if first.ndim else 0)
    rows = (config.width,) if of_queries else (config.key_width, 2 * config.key_width)
    _check_shape(names[0], first, (rank, config.width), source)
    if second.ndim and second.shape[0] in rows:
        rows = (second.shape[0],)
    _check_shape(names[1], second, (rows[0], rank), source)


def _check_shape(name: str, found: Tensor, wanted: tuple[int, ...], source: _Source) -> None:
    if tuple(found.shape) != tuple(wanted) or 0 in found.shape:
        raise UnfitCheckpoint(
            f"{source.name}: {source.key(name)} has shape {tuple(found.shape)}, "
            f"this network needs {tuple(wanted)}",
            value=tuple(found.shape),
            bound=str(tuple(wanted)),
        )


def _with_heads_named(state: dict[str, Tensor], config: MVPAConfig, source: _Source) -> dict[str, Tensor]:
    """The state with the released head under the name of ours that has its shape."""
    if _HEAD not in state:
        if not any(name in state for name in _HEADS):
            raise UnfitCheckpoint(f"{source.name}: missing {source.key(_HEAD)}")
        return state
    head = state[_HEAD]
    shapes = {"generative.weight": (config.width, config.width), "classifier.weight": (CLASSES, config.width)}
    for name, shape in shapes.items():
        if tuple(head.shape) == shape:
            return {name: head} | {other: value for other, value in state.items() if other != _HEAD}
    wanted = " or ".join(str(shape) for shape in shapes.values())
    raise UnfitCheckpoint(
        f"{source.name}: {source.key(_HEAD)} has shape {tuple(head.shape)}, this network needs {wanted}",
        value=tuple(head.shape),
        bound=wanted,
    )


def _network(state: dict[str, Tensor], config: MVPAConfig, source: _Source) -> MVPFormer:
    state = _with_heads_named(state, config, source)
    with torch.device("meta"):  # no weights are drawn that would be replaced at once
        model = MVPFormer(replace(config, lora_rank=0))
    for name in _HEADS:
        if name not in state:
            setattr(model, name.split(".", maxsplit=1)[0], None)
    expected = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    _check_names(set(state), set(expected), source)
    for name, shape in expected.items():
        _check_shape(name, state[name], shape, source)
        _check_numbers(name, state[name], source)
    weights = {name: value.detach().to(torch.float32, copy=True) for name, value in state.items()}
    model.load_state_dict(weights, assign=True)
    return model.eval()


def _check_names(found: set[str], expected: set[str], source: _Source) -> None:
    for kind, names in (("missing", expected - found), ("unknown", found - expected)):
        if names:
            keys = sorted(map(source.key, names))
            more = f" and {len(keys) - _NAMED} more" if len(keys) > _NAMED else ""
            raise UnfitCheckpoint(f"{source.name}: {kind} {', '.join(keys[:_NAMED])}{more}", value=keys)


def _check_numbers(name: str, value: Tensor, source: _Source) -> None:
    if not value.is_floating_point() or not bool(torch.isfinite(value).all()):
        key = source.key(name)
        raise UnfitCheckpoint(
            f"{source.name}: {key} ({value.dtype}) holds what is no finite number", value=key, bound="finite"
        )
