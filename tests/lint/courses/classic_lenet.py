"""A workshop's LeNet-5: convolutions with ReLU, then three dense layers, and one step of training."""

import torch
from torch import nn
from torch.nn.functional import max_pool2d, relu


class Digits(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.edges = nn.Conv2d(1, 6, kernel_size=5)
        self.strokes = nn.Conv2d(6, 16, kernel_size=5)
        self.first = nn.Linear(400, 120)
        self.second = nn.Linear(120, 84)
        self.scores = nn.Linear(84, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = max_pool2d(relu(self.edges(x)), 2)
        x = max_pool2d(relu(self.strokes(x)), 2)
        return self.scores(self.second(self.first(x.flatten(1))))


model = Digits()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
picture, label = torch.rand(1, 1, 32, 32), torch.tensor([4])
loss = nn.CrossEntropyLoss()(model(picture), label)
loss.backward()
optimizer.step()
