"""Attention on the hourly grid: causal, hour by hour what it is at once, deaf to what was not measured."""

from dataclasses import replace

import pytest
import torch

from models.mvpa.attention import MVPAttention
from models.mvpa.grid import Columns, GridMVPA, GridMVPAConfig
from models.mvpa.tokens import attend

CONFIG = GridMVPAConfig(width=8, layers=2, query_heads=2, key_heads=1, inner=12, hours=5)
COLUMNS = Columns(((0, 1), (2, 3, 4), (5, 6)), measured=(1, 3, 6), patient=(7, 8))
INPUTS, HOURS = 9, 20


def network() -> GridMVPA:
    torch.manual_seed(1)
    net = GridMVPA(COLUMNS, 3, CONFIG).double().eval()
    with torch.no_grad():
        for layer in net.layers:
            layer.attn.attn_bias.normal_()
    return net


def start(net: GridMVPA, stays: int) -> list[torch.Tensor]:
    return [one.double() for one in net.start(stays)]


def some_inputs(stays: int = 2, measured_share: float = 0.4) -> torch.Tensor:
    """Random inputs, a variable measured in some hours."""
    generator = torch.Generator().manual_seed(4)
    inputs = torch.randn(stays, HOURS, INPUTS, generator=generator, dtype=torch.float64)
    for column in COLUMNS.measured:
        seen = torch.rand(stays, HOURS, generator=generator) < measured_share
        inputs[:, :, column] = seen.double()
    return inputs


def test_an_hour_reads_the_hours_within_reach_and_none_after() -> None:
    net, inputs = network(), some_inputs(1).requires_grad_()
    net(inputs, start(net, 1))[0][0, 12].sum().backward()
    assert inputs.grad is not None
    read = inputs.grad[0].abs().sum(-1) > 0
    assert CONFIG.receptive_hours == 9
    assert read.tolist() == [4 <= hour <= 12 for hour in range(HOURS)]


def test_blocks_of_hours_equal_the_whole_stay() -> None:
    net, inputs = network(), some_inputs()
    whole, _ = net(inputs, start(net, 2))
    assert whole.shape == (2, HOURS, 3)
    state, parts = start(net, 2), []
    for block in torch.split(inputs, [1, 7, 12], dim=1):
        outputs, state = net(block, state)
        parts.append(outputs)
    torch.testing.assert_close(torch.cat(parts, dim=1), whole, rtol=1e-12, atol=1e-12)


def test_a_stay_scores_the_same_alone_and_in_a_batch() -> None:
    net, inputs = network(), some_inputs(3)
    together, _ = net(inputs, start(net, 3))
    alone, _ = net(inputs[1:2], start(net, 1))
    torch.testing.assert_close(alone[0], together[1], rtol=1e-12, atol=1e-12)


def test_a_variable_that_was_not_measured_in_an_hour_says_nothing_there() -> None:
    net, inputs = network(), some_inputs(1)
    column = COLUMNS.measured[1]
    moved = []
    for measured in (0.0, 1.0):
        inputs[0, 10, column] = measured
        changed = inputs.clone()
        changed[0, 10, COLUMNS.variables[1][0]] += 3.0
        after, before = (net(one, start(net, 1))[0] for one in (changed, inputs))
        moved.append(((after - before)[0].abs().amax(-1) > 0).tolist())
    assert moved == [[False] * HOURS, [10 <= hour <= 18 for hour in range(HOURS)]]


def test_learning_and_scoring_see_the_same() -> None:
    net, inputs = network(), some_inputs(3)
    inputs[1, :, COLUMNS.measured] = 0.0  # the patient alone
    learning, kept = net(inputs, start(net, 3))
    with torch.no_grad():
        scoring, scored = net(inputs, start(net, 3))
    torch.testing.assert_close(scoring, learning, rtol=1e-12, atol=1e-12)
    for one, other in zip(scored, kept, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("key_heads", [1, 2])
def test_attention_among_tokens_is_the_blocked_attention_with_the_rest_missing(key_heads: int) -> None:
    net = network()
    config = replace(CONFIG, key_heads=key_heads).attention(4)
    attention = MVPAttention(config).double()
    with torch.no_grad():
        attention.attn_bias.normal_()
    hidden = torch.randn(2, config.positions, 4, config.width, dtype=torch.float64)
    here = torch.rand(2, config.positions, 4) < 0.5
    here[..., -1] = True
    books = net.positional_embedding.weight, net.channel_embedding.weight
    query = attention.q_attn(hidden[:, -1:])
    whole = attention.attend(query, attention.c_attn(hidden), *books, ~here)
    told = attention.c_proj(attend(attention, query, attention.c_attn(hidden), *books, here))
    torch.testing.assert_close(told, whole * here[:, -1:, :, None], rtol=1e-12, atol=1e-12)


def test_it_is_the_plain_attention_over_the_present_tokens() -> None:
    """One layer, one hour, against softmax written out over every token that is there."""
    config = GridMVPAConfig(width=6, layers=1, query_heads=1, key_heads=1, inner=4, hours=4)
    torch.manual_seed(2)
    net = GridMVPA(COLUMNS, 2, config).double().eval()
    layer, inputs = net.layers[0], some_inputs(1)
    with torch.no_grad():
        layer.attn.attn_bias.normal_()
        told, _ = net(inputs, start(net, 1))
        owners = zip(net.enter, COLUMNS.owners, strict=True)
        x = torch.stack([enter(inputs[0][:, own]) for enter, own in owners], dim=1)  # (T, C, D)
        normed = layer.ln_1(x)
        attn, hour = layer.attn, 11
        key, value = attn.c_attn(normed).chunk(2, dim=-1)
        by_lag = attn.position_net(net.positional_embedding.weight)
        by_distance = attn.channel_net(net.channel_embedding.weight)
        u, v, w = attn.attn_bias.chunk(3)
        seen = []
        tokens = [c for c in range(4) if c == 3 or inputs[0, hour, COLUMNS.measured[c]] > 0.0]
        for c in tokens:
            q = attn.q_attn(normed[hour, c])
            scores, values = [], []
            for t in range(hour - 3, hour + 1):
                for d in range(4):
                    if d < 3 and inputs[0, t, COLUMNS.measured[d]] == 0.0:
                        continue
                    lag, apart = by_lag[3 - (hour - t)], by_distance[3 - abs(c - d)]
                    scores.append((q + u) @ key[t, d] + (q + v) @ lag + (q + w) @ apart)
                    values.append(value[t, d])
            share = torch.softmax(torch.stack(scores) / 6**0.5, dim=0)
            seen.append(attn.c_proj(share @ torch.stack(values)))
        out = x[hour, tokens] + torch.stack(seen) + layer.mlp(normed[hour, tokens])
        expected = net.leave(net.norm(out.mean(0)))
    torch.testing.assert_close(told[0, hour], expected, rtol=1e-10, atol=1e-10)
