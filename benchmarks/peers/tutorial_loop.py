"""The peer: the training loop of an introductory course, sample by sample through a DataLoader.

    python benchmarks/peers/tutorial_loop.py FOLDER NETWORK EPOCHS SEED

torchvision's MNIST (unpacked IDX files in FOLDER/MNIST/raw) with `ToTensor`, batches of 100, a 784-500-10 perceptron,
LeNet-5 or two convolutions with batch normalisation, Adam at 0.001; then the test accuracy. Written anew after what
such courses do.
"""

from __future__ import annotations

import sys

import torch
from torch import nn
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import MNIST


def block(channels: int, kernels: int) -> list[nn.Module]:
    """Convolution, batch normalisation, ReLU and pooling."""
    return [nn.Conv2d(channels, kernels, 5, padding=2), nn.BatchNorm2d(kernels), nn.ReLU(), nn.MaxPool2d(2)]


NETWORKS = {
    "mlp": lambda: nn.Sequential(nn.Flatten(), nn.Linear(784, 500), nn.ReLU(), nn.Linear(500, 10)),
    "lenet5": lambda: nn.Sequential(
        *(nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
        *(nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)),
    ),
    "convnet": lambda: nn.Sequential(*block(1, 16), *block(16, 32), nn.Flatten(), nn.Linear(7 * 7 * 32, 10)),
}

torch.set_num_threads(2)
folder, name, epochs = sys.argv[1], sys.argv[2], int(sys.argv[3])
torch.manual_seed(int(sys.argv[4]))
training = DataLoader(MNIST(folder, train=True, transform=transforms.ToTensor()), batch_size=100, shuffle=True)
testing = DataLoader(MNIST(folder, train=False, transform=transforms.ToTensor()), batch_size=100)
network = NETWORKS[name]()
optimizer = torch.optim.Adam(network.parameters(), lr=0.001)
criterion = nn.CrossEntropyLoss()
for epoch in range(epochs):
    network.train()
    for pictures, labels in training:
        loss = criterion(network(pictures), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch + 1}: loss {loss.item():.4f}")
network.eval()
correct = 0
with torch.no_grad():
    for pictures, labels in testing:
        correct += (network(pictures).argmax(dim=1) == labels).sum().item()
print(f"accuracy {correct / 10_000:.4f}")
