# ruff: noqa: T201 (a script shows what it found by printing it)
"""A lecture on small colour pictures: a logistic regression, one hidden layer, convolutions; its loops filled in."""

import torch
from torch import nn
from torch.utils.data import DataLoader
from torchvision.datasets import CIFAR10
from torchvision.transforms import Compose, Normalize, ToTensor


class Convolutions(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stages = nn.Sequential(
            nn.Conv2d(3, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 32, 5), nn.ReLU(), nn.MaxPool2d(2)
        )
        self.scores = nn.Linear(800, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.scores(self.stages(x).flatten(1))


scaled = Compose([ToTensor(), Normalize((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))])
trainloader = DataLoader(CIFAR10("data", train=True, transform=scaled), batch_size=4, shuffle=True)
testloader = DataLoader(CIFAR10("data", train=False, transform=scaled), batch_size=4)


def train(model: nn.Module, epochs: int = 1) -> None:
    loss_of = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.001)
    for _ in range(epochs):
        for x, y in trainloader:
            optimizer.zero_grad()
            loss_of(model(x), y).backward()
            optimizer.step()


def test(model: nn.Module) -> float:
    right = total = 0
    with torch.no_grad():
        for x, y in testloader:
            right += (model(x).argmax(1) == y).sum().item()
            total += len(y)
    return right / total


for model in (
    nn.Sequential(nn.Flatten(), nn.Linear(3072, 10)),
    nn.Sequential(nn.Flatten(), nn.Linear(3072, 500), nn.ReLU(), nn.Linear(500, 10)),
    Convolutions(),
):
    train(model)
    print(test(model))
