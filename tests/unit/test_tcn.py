"""The causal network: no hour sees a later one, and blocks give what the whole gives."""

import torch

from models.tcn import TCN, TCNConfig

CONFIG = TCNConfig(channels=8, dilations=(1, 2, 4), kernel=3, dropout=0.5)


def network() -> TCN:
    torch.manual_seed(1)
    return TCN(5, 3, CONFIG).double().eval()


def tails(net: TCN, stays: int) -> list[torch.Tensor]:
    return [tail.double() for tail in net.start(stays)]


def gradient_of_hour(hour: int, hours: int = 40) -> torch.Tensor:
    """How strongly each input hour moves the outputs of `hour`: (T,)."""
    net, inputs = network(), torch.randn(1, hours, 5, dtype=torch.float64, requires_grad=True)
    net(inputs, tails(net, 1))[0][0, hour].sum().backward()
    assert inputs.grad is not None
    return inputs.grad[0].abs().sum(-1)


def test_an_hour_reads_exactly_its_receptive_field() -> None:
    assert CONFIG.receptive_hours == 15
    read = gradient_of_hour(30) > 0
    assert torch.nonzero(read).flatten().tolist() == list(range(16, 31))


def test_blocks_of_hours_equal_the_whole_stay() -> None:
    net, inputs = network(), torch.randn(2, 40, 5, dtype=torch.float64)
    whole, _ = net(inputs, tails(net, 2))
    state, parts = tails(net, 2), []
    for block in torch.split(inputs, [1, 7, 32], dim=1):
        logits, state = net(block, state)
        parts.append(logits)
    torch.testing.assert_close(torch.cat(parts, dim=1), whole, rtol=1e-12, atol=1e-12)


def test_a_stay_scores_the_same_alone_and_in_a_batch() -> None:
    net, inputs = network(), torch.randn(3, 20, 5, dtype=torch.float64)
    together, _ = net(inputs, tails(net, 3))
    alone, _ = net(inputs[1:2], tails(net, 1))
    torch.testing.assert_close(alone[0], together[1], rtol=1e-12, atol=1e-12)
