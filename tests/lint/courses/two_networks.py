# ruff: noqa: T201 (a script shows what it found by printing it)
"""An overview course: a network of dense layers, then one of convolutions with batch norm, and a loop for each."""

import torch
from torch import nn
from torch.utils.data import DataLoader
from torchvision.datasets import MNIST
from torchvision.transforms import ToTensor


class Dense(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.Linear(784, 500)
        self.bend = nn.ReLU()
        self.scores = nn.Linear(500, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.scores(self.bend(self.hidden(x.flatten(1))))


class Convolutional(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stage1 = nn.Sequential(nn.Conv2d(1, 16, 5, padding=2), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2))
        self.stage2 = nn.Sequential(nn.Conv2d(16, 32, 5, padding=2), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2))
        self.scores = nn.Linear(7 * 7 * 32, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.scores(self.stage2(self.stage1(x)).flatten(1))


train_loader = DataLoader(MNIST("data", train=True, transform=ToTensor()), batch_size=100, shuffle=True)
test_loader = DataLoader(MNIST("data", train=False, transform=ToTensor()), batch_size=100)
loss_of = nn.CrossEntropyLoss()


def learn(network: nn.Module) -> None:
    optimizer = torch.optim.Adam(network.parameters(), lr=0.001)
    for _ in range(5):
        for pictures, labels in train_loader:
            loss = loss_of(network(pictures), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


dense_model = Dense()
learn(dense_model)
right = 0
with torch.no_grad():
    for pictures, labels in test_loader:
        right += (dense_model(pictures).argmax(1) == labels).sum().item()
print(right)

model = Convolutional()
learn(model)
model.eval()
right = 0
with torch.no_grad():
    for pictures, labels in test_loader:
        right += (model(pictures).argmax(1) == labels).sum().item()
print(right)
