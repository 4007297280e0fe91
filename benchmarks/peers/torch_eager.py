"""PyTorch, eager, in its fastest plain form: fused Adam, and channels-last images for the convolutions."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.peers import batches_of
from benchmarks.workloads import SEPARABLE_BLOCKS, VOCABULARY, Workload


def make(workload: Workload) -> TorchEager:
    """Build the workload's module and its optimizer."""
    return TorchEager(workload)


class Lstm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, 64)
        # torch's LSTM has no recurrent dropout: this peer does a little less work.
        self.dropout = nn.Dropout1d(0.2)
        self.rnn = nn.LSTM(64, 64, batch_first=True)
        self.head = nn.Linear(64, 2)

    def forward(self, x: Any) -> Any:
        x = self.dropout(self.embedding(x).transpose(1, 2)).transpose(1, 2)
        return self.head(self.rnn(x)[1][0][-1])


class Gru(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, 64)
        self.rnn = nn.GRU(64, 64, batch_first=True)
        self.head = nn.Linear(64, 2)

    def forward(self, x: Any) -> Any:
        return self.head(self.rnn(self.embedding(x))[1][-1])


class Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.tokens = nn.Embedding(VOCABULARY, 128)
        self.positions = nn.Embedding(128, 128)
        self.blocks = nn.Sequential(
            *(nn.TransformerEncoderLayer(128, 4, 512, dropout=0.1, batch_first=True) for _ in range(2))
        )
        self.head = nn.Linear(128, 2)

    def forward(self, x: Any) -> Any:
        return self.head(self.blocks(self.tokens(x) + self.positions.weight).mean(1))


def _mlp(*sizes: int) -> nn.Module:
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def _cnn() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 32, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.Linear(1600, 10),
    ).to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def _separable() -> nn.Module:
    def normalized(
        inputs: int, outputs: int, window: int, stride: int = 1, groups: int = 1
    ) -> list[nn.Module]:
        layer = nn.Conv2d(inputs, outputs, window, stride, window // 2, groups=groups, bias=False)
        return [layer, nn.BatchNorm2d(outputs), nn.ReLU()]

    layers, channels = normalized(3, 32, 3), 32
    for filters, stride in SEPARABLE_BLOCKS:
        layers += normalized(channels, channels, 3, stride, channels)
        layers += normalized(channels, filters, 1)
        channels = filters
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10)]
    return nn.Sequential(*layers).to(memory_format=torch.channels_last)  # type: ignore[call-overload]


MODELS: dict[str, Callable[[], nn.Module]] = {
    "mlp": lambda: _mlp(784, 128, 64, 10),
    "digits": lambda: _mlp(64, 64, 10),
    "cnn": _cnn,
    "separable": _separable,
    "lstm": Lstm,
    "gru": Gru,
    "encoder": Encoder,
}


class TorchEager:
    """A module and its optimizer."""

    def __init__(self, workload: Workload):
        torch.manual_seed(0)
        self.batch = workload.batch
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.model = MODELS[workload.name]().to(self.device)
        self.optimizer = torch.optim.Adam(self.model.parameters(), 1e-3, fused=True)
        self.loss = nn.CrossEntropyLoss()
        self.rng = np.random.default_rng(1)

    def _inputs(self, x: np.ndarray) -> torch.Tensor:
        tensor = torch.from_numpy(x).to(self.device)
        # An array (batch, height, width, channels) seen as (batch, channels, height, width) is channels-last.
        return tensor.permute(0, 3, 1, 2) if tensor.ndim == 4 else tensor

    def fit(self, x: np.ndarray, y: np.ndarray, epochs: int) -> float:
        inputs, targets = self._inputs(x), torch.from_numpy(y).long().to(self.device)
        self.model.train()
        losses = []
        for _ in range(epochs):
            losses = []
            for chosen in batches_of(self.rng.permutation(len(x)), self.batch):
                index = torch.from_numpy(chosen)
                loss = self.loss(self.model(inputs[index]), targets[index])
                self.optimizer.zero_grad(set_to_none=True)
                loss.backward()
                self.optimizer.step()
                losses.append(loss.detach())
        return float(torch.stack(losses).mean())

    @torch.inference_mode()
    def predict(self, x: np.ndarray, batch: int) -> np.ndarray:
        self.model.eval()
        inputs = self._inputs(x)
        return np.concatenate(
            [self.model(inputs[i : i + batch]).cpu().numpy() for i in range(0, len(x), batch)]
        )

    def dense_call(self) -> Callable[[], Any]:
        layer, x = nn.Linear(64, 64), torch.ones(1, 64)
        return lambda: layer(x)
