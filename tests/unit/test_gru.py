"""The recurrent network: no hour sees a later one, and blocks give what the whole gives."""

import torch

from models.gru import GRU, GRUConfig

CONFIG = GRUConfig(channels=8, dropout=0.5, input_dropout=0.5)


def network() -> GRU:
    torch.manual_seed(1)
    return GRU(5, 3, CONFIG).double().eval()


def start(net: GRU, stays: int) -> list[torch.Tensor]:
    return [one.double() for one in net.start(stays)]


def test_an_hour_reads_every_hour_before_it_and_none_after() -> None:
    net, inputs = network(), torch.randn(1, 20, 5, dtype=torch.float64, requires_grad=True)
    net(inputs, start(net, 1))[0][0, 12].sum().backward()
    assert inputs.grad is not None
    read = inputs.grad[0].abs().sum(-1) > 0
    assert read.tolist() == [True] * 13 + [False] * 7


def test_blocks_of_hours_equal_the_whole_stay() -> None:
    net, inputs = network(), torch.randn(2, 40, 5, dtype=torch.float64)
    whole, _ = net(inputs, start(net, 2))
    assert whole.shape == (2, 40, 3)
    state, parts = start(net, 2), []
    for block in torch.split(inputs, [1, 7, 32], dim=1):
        outputs, state = net(block, state)
        parts.append(outputs)
    torch.testing.assert_close(torch.cat(parts, dim=1), whole, rtol=1e-12, atol=1e-12)


def test_a_stay_scores_the_same_alone_and_in_a_batch() -> None:
    net, inputs = network(), torch.randn(3, 20, 5, dtype=torch.float64)
    together, _ = net(inputs, start(net, 3))
    alone, _ = net(inputs[1:2], start(net, 1))
    torch.testing.assert_close(alone[0], together[1], rtol=1e-12, atol=1e-12)
