"""Training: the objective, a resumed run's bits, what learns and what stays, and who may be on which side."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from models.clinical.errors import InvalidInput, UnreadableSource
from models.mvpa import MVPAConfig, MVPAttention, MVPFormer, load_checkpoint
from models.mvpa.finetuning import adapters, class_weights, finetuning, with_adapters
from models.mvpa.pretraining import contrast, forecasting, generative_loss, pretraining
from models.mvpa.samples import Sample, check_split
from models.mvpa.training import Training, TrainingConfig

CONFIG = MVPAConfig(24, 2, 6, 2, 40, 8, 6, 64)
RUN = TrainingConfig(steps=6, batch=2, learning_rate=3e-3, warm_steps=1)


def model(seed: int = 0) -> MVPFormer:
    torch.manual_seed(seed)
    return MVPFormer(CONFIG)


def sample(seed: int, label: int = 0, channels: int = 3) -> Sample:
    """Noise, or in the seizure a slow wave in it."""
    draw = torch.Generator().manual_seed(seed)
    segments = 30.0 * torch.randn(4, channels, 64, generator=draw)
    if label:
        segments[-1] += 200.0 * torch.sin(torch.arange(64.0) / 3.0)
    return Sample(segments, label, f"subject-{seed}")


def samples(count: int = 6) -> list[Sample]:
    return [sample(seed, seed % 2, 2 + seed % 3) for seed in range(count)]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_contrast_is_the_papers_formula() -> None:
    torch.manual_seed(0)
    expected, came, others = torch.randn(5, 8), torch.randn(5, 8), torch.randn(5, 30, 8)
    total = 0.0
    for row in range(5):
        scores = [
            torch.cosine_similarity(expected[row], one, dim=0) / 0.1 for one in (came[row], *others[row])
        ]
        total -= torch.log_softmax(torch.stack(scores), dim=0)[0].item()
    assert contrast(expected, came, others).item() == pytest.approx(total / 5, rel=1e-5)


def test_a_duplicate_of_what_came_does_not_count() -> None:
    torch.manual_seed(0)
    expected, came, others = torch.randn(2, 8), torch.randn(2, 8), torch.randn(2, 30, 8)
    doubled = torch.cat([others, came[:, None].expand(2, 4, 8)], dim=1)
    torch.testing.assert_close(contrast(expected, came, doubled), contrast(expected, came, others))


def test_nothing_but_duplicates_costs_nothing() -> None:
    came = torch.randn(2, 8)
    assert contrast(torch.randn(2, 8), came, came[:, None].expand(2, 30, 8)).item() == 0.0


def test_pretraining_learns_what_comes_next() -> None:
    draw, pattern = generator(), 100.0 * torch.randn(2, 1, 64, generator=generator(5))
    alternating = [
        Sample(pattern.repeat(3, 2, 1) + 10.0 * torch.randn(6, 2, 64, generator=draw), 0, str(index))
        for index in range(4)
    ]
    losses = list(pretraining(model(), alternating, replace(RUN, steps=25)).run())
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])


def test_the_generative_loss_leaves_missing_tokens_out() -> None:
    full = sample(0)
    holed, garbage = full.segments.clone(), full.segments.clone()
    holed[2, 1, 5], garbage[2, 1] = torch.nan, torch.nan
    losses = [generative_loss(model(), Sample(one, 0, "a"), generator()).item() for one in (holed, garbage)]
    assert losses[0] == losses[1]
    assert losses[0] != generative_loss(model(), full, generator()).item()


def test_nothing_to_predict_is_refused() -> None:
    with pytest.raises(InvalidInput, match="nothing to predict"):
        generative_loss(model(), Sample(torch.randn(1, 2, 64), 0, "a"), generator())
    with pytest.raises(InvalidInput, match="twice in a row"):
        generative_loss(model(), Sample(torch.full((3, 2, 64), torch.nan), 0, "a"), generator())


@pytest.mark.parametrize("stage", ["pretraining", "finetuning"])
def test_a_resumed_run_ends_in_the_same_bits(tmp_path: Path, stage: str) -> None:
    def start() -> Training:
        if stage == "pretraining":
            return pretraining(model(), samples(), RUN)
        return finetuning(with_adapters(model(), generator()), samples(), RUN)

    whole = start()
    losses = list(whole.run())
    first = start()
    before = list(first.run(3))
    first.save(tmp_path / "run.pt")
    torch.manual_seed(99)
    second = start()
    second.resume(tmp_path / "run.pt")
    assert before + list(second.run()) == losses
    for ours, theirs in zip(second.model.parameters(), whole.model.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_another_run_cannot_be_resumed(tmp_path: Path) -> None:
    pretraining(model(), samples(), RUN).save(tmp_path / "run.pt")
    with pytest.raises(InvalidInput, match="training differs in seed"):
        pretraining(model(), samples(), replace(RUN, seed=1)).resume(tmp_path / "run.pt")
    (tmp_path / "cut.pt").write_bytes((tmp_path / "run.pt").read_bytes()[:1000])
    with pytest.raises(UnreadableSource, match=r"cut\.pt"):
        pretraining(model(), samples(), RUN).resume(tmp_path / "cut.pt")


def test_fresh_adapters_change_nothing() -> None:
    base = model()
    adapted = with_adapters(base, generator())
    segments = sample(0).segments[None]
    torch.testing.assert_close(adapted.hidden(segments), base.hidden(segments), rtol=0, atol=1e-6)


def test_only_adapters_and_the_classifier_learn() -> None:
    adapted = with_adapters(model(), generator())
    before = {name: value.clone() for name, value in adapted.state_dict().items()}
    list(finetuning(adapted, samples(), RUN).run())
    changed = {name for name, value in adapted.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {name for name in before if "lora_" in name or name == "classifier.weight"}
    assert sum(1 for _ in adapters(adapted)) == 2 * CONFIG.layers


def test_the_adapter_of_keys_and_values_is_of_values_alone() -> None:
    attention = MVPAttention(replace(CONFIG, lora_rank=8))
    assert attention.c_attn.lora_B.shape == (CONFIG.key_width, 8)
    torch.nn.init.normal_(attention.c_attn.lora_B)
    x = torch.randn(5, 24)
    added = attention.c_attn(x) - x @ attention.c_attn.weight.T
    assert added[:, : CONFIG.key_width].abs().max() == 0.0
    assert added[:, CONFIG.key_width :].abs().min() > 0.0


def test_merged_adapters_give_the_same_scores() -> None:
    adapted = with_adapters(model(), generator())
    list(finetuning(adapted, samples(), RUN).run())
    merged = load_checkpoint(adapted.state_dict(), adapted.config)
    segments = sample(0).segments[None]
    torch.testing.assert_close(merged.classify(segments), adapted.classify(segments), rtol=0, atol=1e-5)
    assert not any("lora_" in name for name in merged.state_dict())


def test_finetuning_learns_a_slow_wave() -> None:
    adapted = with_adapters(model(), generator())
    list(finetuning(adapted, samples(12), replace(RUN, steps=20, batch=4, learning_rate=1e-2)).run())
    held_out = [sample(seed, seed % 2) for seed in range(100, 110)]
    with torch.no_grad():
        found = [int(adapted.classify(one.segments[None]).argmax()) for one in held_out]
    right = sum(guess == one.label for guess, one in zip(found, held_out, strict=True))
    assert right >= 8


def test_fine_tuning_needs_adapters_and_both_classes() -> None:
    with pytest.raises(InvalidInput, match="needs adapters"):
        finetuning(model(), samples(), RUN)
    with pytest.raises(InvalidInput, match="2 samples without and 0 with a seizure"):
        class_weights([sample(0), sample(2)])
    torch.testing.assert_close(
        class_weights([sample(0), sample(2), sample(4), sample(1, 1)]), Tensor([2 / 3, 2.0])
    )


def test_half_precision_is_near_full() -> None:
    network, segments = model(), sample(0).segments[None]
    with torch.autocast("cpu", torch.bfloat16):
        half = network.hidden(segments)
    torch.testing.assert_close(half.float(), network.hidden(segments), rtol=0, atol=0.1)


def test_a_subject_on_both_sides_is_refused() -> None:
    with pytest.raises(InvalidInput, match="1 subjects train and are held out: subject-2"):
        check_split([sample(1), sample(2)], [sample(2), sample(3)])


def test_one_segment_under_another_name_is_refused_whatever_its_channels_order() -> None:
    known = sample(1)
    window = torch.cat([torch.randn(2, 3, 64), known.segments[2:3].flip(1)])
    with pytest.raises(InvalidInput, match="subject copy, held out, has a segment of subject subject-1"):
        check_split([known, sample(2)], [sample(3), Sample(window, 0, "copy")])


def spoiled(segments: Tensor, how: str) -> Tensor:
    copied = segments.clone()
    if how == "a channel left out":
        return copied[:, 1:]
    if how == "a sample missing in each segment":
        copied[:, 0, 5] = torch.nan
    return (
        copied.round(decimals=1) if how == "rounded" else copied / 1000.0 if how == "in millivolt" else copied
    )


@pytest.mark.parametrize(
    "how", ["a channel left out", "a sample missing in each segment", "rounded", "in millivolt"]
)
@pytest.mark.parametrize("samples", [64, 2560])
def test_a_copy_that_was_touched_is_refused(how: str, samples: int) -> None:
    draw = torch.Generator().manual_seed(5)
    known = Sample(50.0 * torch.randn(4, 3, samples, generator=draw), 0, "a")
    other = Sample(50.0 * torch.randn(4, 3, samples, generator=draw), 0, "b")
    copy = Sample(spoiled(known.segments, how), 0, "copy")
    for pair in ((known, copy), (copy, known)):
        with pytest.raises(InvalidInput, match="the same recording under two names"):
            check_split(pair[:1], [other, pair[1]])
    check_split([known], [other])


def test_unplugged_electrodes_are_no_duplicate() -> None:
    silent = [Sample(torch.zeros(2, 3, 64), 0, name) for name in ("a", "b")]
    check_split(silent[:1], silent[1:])


@pytest.mark.parametrize("segments", [torch.zeros(2, 3), torch.zeros(0, 2, 64)])
def test_a_sample_of_no_segments_is_refused(segments: Tensor) -> None:
    with pytest.raises(InvalidInput, match="are not"):
        Sample(segments, 0, "a")


def test_a_label_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidInput, match="label 2"):
        Sample(torch.zeros(1, 1, 64), 2, "a")


@pytest.mark.parametrize(("field", "value"), [("steps", 0), ("batch", 0), ("learning_rate", 0.0)])
def test_a_run_that_cannot_be_is_refused(field: str, value: float) -> None:
    with pytest.raises(InvalidInput, match=field):
        TrainingConfig(**{"steps": 5, field: value})  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="no samples"):
        pretraining(model(), [], RUN)


def test_forecasting_teaches_a_fresh_head_alone_and_the_same_from_the_same_seed() -> None:
    found = []
    for _ in range(2):
        network = model()
        network.generative = None
        before = {name: value.clone() for name, value in network.state_dict().items()}
        losses = list(forecasting(network, samples(), RUN).run())
        after = network.state_dict()
        assert len(losses) == RUN.steps
        assert all(torch.equal(after[name], value) for name, value in before.items())
        found.append(after["generative.weight"])
        torch.rand(3)  # draws from elsewhere change nothing
    assert torch.equal(*found)
