# ruff: noqa: T201 (a script shows what it found by printing it)
"""A post on digits: four convolutions and three dense layers with batch norm, dropout, and a softmax at the end."""

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def stage(channels: int, kernels: int, *, bias: bool) -> list[nn.Module]:
    return [nn.Conv2d(channels, kernels, 3, padding=1, bias=bias), nn.BatchNorm2d(kernels), nn.ReLU()]


class Deep(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.steps = nn.ModuleList([
            *stage(1, 32, bias=True), nn.Dropout(0.1), nn.MaxPool2d(2),
            *stage(32, 64, bias=False), nn.Dropout(0.1), nn.MaxPool2d(2),
            *stage(64, 128, bias=False), nn.Dropout(0.1), nn.MaxPool2d(2),
            *stage(128, 128, bias=False), nn.Flatten(),
            nn.Linear(1152, 512, bias=False), nn.BatchNorm1d(512), nn.ReLU(),
            nn.Linear(512, 256, bias=False), nn.BatchNorm1d(256), nn.ReLU(),
            nn.Linear(256, 10, bias=False),
            nn.Softmax(dim=1),
        ])  # fmt: skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for step in self.steps:
            x = step(x)
        return x


def loss_on_some(model: nn.Module, x: torch.Tensor, y: torch.Tensor, loss_of: nn.Module) -> float:
    model.eval()
    with torch.no_grad():
        some = torch.randperm(len(x))[:512]
        found = loss_of(model(x[some]), y[some]).item()
    model.train()
    return found


def train(x_train: torch.Tensor, y_train: torch.Tensor, x_test: torch.Tensor, y_test: torch.Tensor) -> nn.Module:
    model = Deep()
    loader = DataLoader(TensorDataset(x_train, y_train), batch_size=64)
    loss_of = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)
    model.train()
    for _ in range(100):
        for x, y in loader:
            loss = loss_of(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        print(loss_on_some(model, x_train, y_train, loss_of), loss_on_some(model, x_test, y_test, loss_of))
    return model.eval()


def predict(model: nn.Module, x_test: torch.Tensor) -> np.ndarray:
    return model(x_test).argmax(dim=1).numpy()


digits = [torch.from_numpy(part) for part in np.load("digits.npz").values()]
x_train, y_train, x_test, y_test = digits
model = train(x_train, y_train, x_test, y_test)
print(predict(model, x_test[:10]))
