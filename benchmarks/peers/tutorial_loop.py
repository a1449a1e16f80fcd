"""The peer: the training loop of an introductory course, sample by sample through a DataLoader.

    python benchmarks/peers/tutorial_loop.py FOLDER EPOCHS

torchvision's MNIST (unpacked IDX files in FOLDER/MNIST/raw) with `ToTensor`, batches of 100, a 784-500-10 perceptron
with ReLU, Adam at 0.001; then the test accuracy. Written anew after what such courses do.
"""

from __future__ import annotations

import sys

import torch
from torch import nn
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import MNIST

torch.set_num_threads(2)
torch.manual_seed(0)
folder, epochs = sys.argv[1], int(sys.argv[2])
training = DataLoader(MNIST(folder, train=True, transform=transforms.ToTensor()), batch_size=100, shuffle=True)
testing = DataLoader(MNIST(folder, train=False, transform=transforms.ToTensor()), batch_size=100)
network = nn.Sequential(nn.Flatten(), nn.Linear(784, 500), nn.ReLU(), nn.Linear(500, 10))
optimizer = torch.optim.Adam(network.parameters(), lr=0.001)
criterion = nn.CrossEntropyLoss()
for epoch in range(epochs):
    for pictures, labels in training:
        loss = criterion(network(pictures), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch + 1}: loss {loss.item():.4f}")
correct = 0
with torch.no_grad():
    for pictures, labels in testing:
        correct += (network(pictures).argmax(dim=1) == labels).sum().item()
print(f"accuracy {correct / 10_000:.4f}")
