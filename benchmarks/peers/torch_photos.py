"""The peer: the transfer-learning loop of PyTorch's tutorial, photo by photo through a DataLoader.

    python benchmarks/peers/torch_photos.py PHOTOS WORK EPOCHS SEED

`ImageFolder` with `RandomResizedCrop(224)` and `RandomHorizontalFlip`, batches of 4, two workers; the whole network by SGD at
0.001 with momentum 0.9, a tenth of it after every seventh epoch. Written anew after
https://docs.pytorch.org/tutorials/beginner/transfer_learning_tutorial.html, but for two things: it takes 25 epochs, and
keeps the one that is best on the val photos; here the last one is kept, since the val photos are what is scored on.
"""

from __future__ import annotations

import sys
from pathlib import Path

import lite0
import timm
import torch
from torch import nn
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder


def main() -> None:
    """Trains and scores; behind the guard because loaders start processes."""
    torch.set_num_threads(2)
    photos, work, epochs, seed = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    torch.manual_seed(seed)
    network = timm.create_model(
        lite0.NAME, pretrained=True, num_classes=2, pretrained_cfg_overlay={"file": str(lite0.weights(work))}
    )
    last = [transforms.ToTensor(), transforms.Normalize([0.5] * 3, [0.5] * 3)]
    augmented = [transforms.RandomResizedCrop(224), transforms.RandomHorizontalFlip(), *last]
    training = ImageFolder(str(Path(photos) / "train"), transforms.Compose(augmented))
    plain = [transforms.Resize(256), transforms.CenterCrop(224), *last]
    testing = ImageFolder(str(Path(photos) / "val"), transforms.Compose(plain))
    batches = DataLoader(training, batch_size=4, shuffle=True, num_workers=2)
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.001, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=7, gamma=0.1)
    for epoch in range(epochs):
        network.train()
        for pictures, labels in batches:
            loss = criterion(network(pictures), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        scheduler.step()
        print(f"epoch {epoch + 1}: loss {loss.item():.4f}", flush=True)
    network.eval()
    correct = 0
    with torch.no_grad():
        for pictures, labels in DataLoader(testing, batch_size=4, num_workers=2):
            correct += (network(pictures).argmax(dim=1) == labels).sum().item()
    print(f"accuracy {correct / len(testing):.4f} of {len(testing)}")


if __name__ == "__main__":
    main()
