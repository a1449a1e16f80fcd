"""Reverse-mode automatic differentiation: everything that `loss.backward()` does.

    a, b = Variable(2.0), Variable(3.0)
    loss = a * b + a
    loss.backward()
    a.gradient, b.gradient                   # 4.0 (= b + 1), 2.0 (= a)

Every operation stores the variables it was computed from, and how to pass a gradient back to each of them. `backward`
visits the variables from the loss to the leaves, each after everything computed from it, and adds up the gradients.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pellucid.errors import UsageError
from pellucid.operations.losses import cross_entropy, cross_entropy_gradient

Back = Callable[[np.ndarray], np.ndarray]


class Variable:
    """An array that knows how it was computed.

    Formula:
        gradient of a = Σ over all y computed from a of  (gradient of y) · ∂y/∂a

    Attributes:
        value: the array.
        gradient: ∂loss/∂value, after `backward`; 0 before.
        name: its name in drawings.
        operation: the operation that computed it; empty for a leaf.
        sources: the variables it was computed from, each with the function that passes a gradient back.
    """

    __array_ufunc__ = None  # so that NumPy leaves `array * variable` to this class

    def __init__(
        self, value: Any, sources: tuple[tuple[Variable, Back], ...] = (), operation: str = "", name: str = ""
    ) -> None:
        self.value = np.asarray(value, dtype=float)
        self.gradient = np.zeros_like(self.value)
        self.sources = sources
        self.operation = operation
        self.name = name

    def __repr__(self) -> str:
        made = f" by {self.operation}" if self.operation else ""
        return f"Variable({self.name or self.value}{made})"

    def __add__(self, other: Any) -> Variable:
        b = _variable(other)
        return Variable(
            self.value + b.value,
            ((self, lambda g: _shaped(g, self.value)), (b, lambda g: _shaped(g, b.value))),
            "+",
        )

    def __mul__(self, other: Any) -> Variable:
        b = _variable(other)
        return Variable(
            self.value * b.value,
            ((self, lambda g: _shaped(g * b.value, self.value)), (b, lambda g: _shaped(g * self.value, b.value))),
            "×",
        )

    def __matmul__(self, other: Any) -> Variable:
        b = _variable(other)
        return Variable(
            self.value @ b.value,
            ((self, lambda g: g @ b.value.T), (b, lambda g: self.value.T @ g)),
            "matmul",
        )

    def __pow__(self, power: float) -> Variable:
        slope = power * self.value ** (power - 1)
        return Variable(self.value**power, ((self, lambda g: g * slope),), f"^{power:g}")

    def __radd__(self, other: Any) -> Variable:
        return self + other

    def __rmul__(self, other: Any) -> Variable:
        return self * other

    def __neg__(self) -> Variable:
        return self * -1.0

    def __sub__(self, other: Any) -> Variable:
        return self + -_variable(other)

    def __rsub__(self, other: Any) -> Variable:
        return -self + other

    def __truediv__(self, other: Any) -> Variable:
        return self * _variable(other) ** -1.0

    def __rtruediv__(self, other: Any) -> Variable:
        return self**-1.0 * other

    def __rmatmul__(self, other: Any) -> Variable:
        return _variable(other) @ self

    @property
    def transposed(self) -> Variable:
        """The transposed matrix."""
        return Variable(self.value.T, ((self, lambda g: g.T),), "T")

    def relu(self) -> Variable:
        """max(0, x)."""
        return Variable(np.maximum(self.value, 0), ((self, lambda g: g * (self.value > 0)),), "relu")

    def tanh(self) -> Variable:
        """The hyperbolic tangent."""
        y = np.tanh(self.value)
        return Variable(y, ((self, lambda g: g * (1 - y**2)),), "tanh")

    def exp(self) -> Variable:
        """The exponential function."""
        y = np.exp(self.value)
        return Variable(y, ((self, lambda g: g * y),), "exp")

    def log(self) -> Variable:
        """The natural logarithm."""
        return Variable(np.log(self.value), ((self, lambda g: g / self.value),), "ln")

    def sum(self) -> Variable:
        """The sum of all values."""
        return Variable(self.value.sum(), ((self, lambda g: g * np.ones_like(self.value)),), "Σ")

    def mean(self) -> Variable:
        """The mean of all values."""
        return self.sum() * (1 / self.value.size)

    def cross_entropy(self, labels: np.ndarray) -> Variable:
        """The cross-entropy of logits (N, K) with labels (N,), as one numerically stable operation."""
        gradient = cross_entropy_gradient(self.value, labels)
        return Variable(cross_entropy(self.value, labels), ((self, lambda g: g * gradient),), "cross-entropy")

    def ancestors(self) -> list[Variable]:
        """All variables it was computed from, and itself, in topological order."""
        order: list[Variable] = []
        seen: set[int] = set()
        waiting: list[tuple[Variable, bool]] = [
            (self, False)
        ]  # not recursive, because a long computation would exceed Python's stack
        while waiting:
            variable, ready = waiting.pop()
            if ready:
                order.append(variable)
            elif id(variable) not in seen:
                seen.add(id(variable))
                waiting.append((variable, True))
                waiting += [(source, False) for source, _ in variable.sources]
        return order

    def backward(self) -> None:
        """Computes the gradients of this scalar with respect to everything it was computed from.

        Raises:
            UsageError: the variable is not a scalar.
        """
        if self.value.size != 1:
            raise UsageError(f"Gradients need a single number, but this variable has {self.value.size}. Use .sum().")
        order = self.ancestors()
        for variable in order:
            variable.gradient = np.zeros_like(variable.value)
        self.gradient = np.ones_like(self.value)
        for variable in reversed(order):
            for source, back in variable.sources:
                source.gradient = source.gradient + back(variable.gradient)


def _variable(value: Any) -> Variable:
    return value if isinstance(value, Variable) else Variable(value)


def _shaped(gradient: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Sums a gradient over broadcast axes: a bias added to N rows gets the sum over the N rows."""
    extra = gradient.ndim - value.ndim
    gradient = gradient.sum(axis=tuple(range(extra)))
    repeated = tuple(axis for axis, size in enumerate(value.shape) if size == 1 and gradient.shape[axis] != 1)
    return gradient.sum(axis=repeated, keepdims=True) if repeated else gradient
