# ruff: noqa: T201 (a script shows what it found by printing it)
"""Slides of a few hours: two convolutions, dropout, and a training and a testing step in one loop."""

import torch
import torch.nn.functional as F
from torch import nn, optim
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

scaled = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))])
train_loader = DataLoader(datasets.MNIST("data", train=True, transform=scaled), batch_size=100, shuffle=True)
test_loader = DataLoader(datasets.MNIST("data", train=False, transform=scaled), batch_size=100, shuffle=True)


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 10, kernel_size=5)
        self.conv2 = nn.Conv2d(10, 20, kernel_size=5)
        self.hidden = nn.Linear(320, 50)
        self.scores = nn.Linear(50, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.relu(F.max_pool2d(self.conv1(x), 2))
        x = F.relu(F.max_pool2d(self.conv2(x), 2))
        x = F.relu(self.hidden(x.view(-1, 320)))
        return self.scores(F.dropout(x, training=self.training))


network = Small()
optimizer = optim.SGD(network.parameters(), lr=0.01)
for epoch in range(3):
    for pictures, labels in train_loader:
        loss = F.cross_entropy(network(pictures), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    test_loss, correct = 0.0, 0
    for pictures, labels in test_loader:
        output = network(pictures)
        test_loss += F.cross_entropy(output, labels).item()
        correct += (output.argmax(dim=1) == labels).sum().item()
    print(epoch, test_loss, correct)
