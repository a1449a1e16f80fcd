"""The codes of LeNet-5's radial-basis outputs: 84 signs per class, a drawing of 7×12 pixels.

The paper draws each character of the printable ASCII set in black (+1) on white (−1), so that characters which look
alike have codes that lie close, and what follows can tell which confusion was likely. The drawings here are our own.
"""

from __future__ import annotations

import numpy as np

WIDTH, HEIGHT = 7, 12

_DIGITS = """
.......  .......  .......  .......  .......  .......  .......  .......  .......  .......
..###..  ...#...  ..###..  .#####.  ....##.  .#####.  ...###.  .#####.  ..###..  ..###..
.#...#.  ..##...  .#...#.  .....#.  ...#.#.  .#.....  ..#....  .....#.  .#...#.  .#...#.
.#...#.  .#.#...  .....#.  ....#..  ..#..#.  .#.....  .#.....  .....#.  .#...#.  .#...#.
.#...#.  ...#...  .....#.  ...#...  ..#..#.  .#.....  .#.....  ....#..  .#...#.  .#...#.
.#...#.  ...#...  ....#..  ..###..  .#...#.  .####..  .####..  ....#..  ..###..  .#...#.
.#...#.  ...#...  ...#...  .....#.  .######  .....#.  .#...#.  ...#...  .#...#.  ..####.
.#...#.  ...#...  ..#....  .....#.  .....#.  .....#.  .#...#.  ...#...  .#...#.  .....#.
.#...#.  ...#...  .#.....  .....#.  .....#.  .....#.  .#...#.  ..#....  .#...#.  .....#.
.#...#.  ...#...  .#.....  .#...#.  .....#.  .#...#.  .#...#.  ..#....  .#...#.  ....#..
..###..  .#####.  .#####.  ..###..  .....#.  ..###..  ..###..  ..#....  ..###..  .###...
.......  .......  .......  .......  .......  .......  .......  .......  .......  .......
"""


def output_codes(classes: int) -> np.ndarray:
    """The codes of K classes: float32 (K, 84), each number +1 or −1.

    For ten classes these are the drawings of the digits 0 to 9, row by row. Otherwise they are random signs that are
    always the same, the first K of one endless table.
    """
    if classes == 10:
        return digit_codes()
    # One row at a time, so that a class keeps its code when more classes are added.
    rows = [np.random.default_rng([1998, k]).integers(0, 2, WIDTH * HEIGHT) for k in range(classes)]
    return (2 * np.stack(rows) - 1).astype(np.float32)


def digit_codes() -> np.ndarray:
    """The digits 0 to 9 as drawings: float32 (10, 84), +1 for ink and −1 for paper."""
    lines = [line.split() for line in _DIGITS.strip().splitlines()]
    drawn = np.array([[list(row) for row in line] for line in lines]) == "#"
    return np.where(drawn, 1.0, -1.0).astype(np.float32).transpose(1, 0, 2).reshape(10, WIDTH * HEIGHT)
