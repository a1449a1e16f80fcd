"""Layout of graphs that flow downwards: nodes in rows, each below its inputs, with few crossings of edges.

After Sugiyama, Tagawa and Toda, "Methods for visual understanding of hierarchical system structures", IEEE Trans. SMC
11(2), 1981: rows by the longest path, positions in a row by the mean position of the neighbours, and corners on long
edges so that they go around the nodes between.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

_SWEEPS = 8
_LANE = 0.34
"""Width in inches of the lane that a long edge keeps free."""


@dataclass(frozen=True)
class Layout:
    """Positions in inches from the upper left corner.

    Attributes:
        centres: centre (x, y) of each node.
        routes: corners of each edge, in input order, from the bottom of one node to the top of the next.
        width, height: size of the drawing.
    """

    centres: list[tuple[float, float]]
    routes: list[list[tuple[float, float]]]
    width: float
    height: float


def layout(
    count: int,
    edges: Sequence[Sequence[int]],
    *,
    wide: float,
    high: float,
    gap: float = 0.28,
    apart: float = 0.3,
    rows: int = 40,
) -> Layout:
    """Places `count` nodes of one size. Every edge goes from a lower index to a higher one.

    Args:
        count: number of nodes.
        edges: (from, to) of each edge.
        wide: width of a node in inches.
        high: height of a node in inches.
        gap: distance between two rows.
        apart: distance between two nodes of a row.
        rows: number of rows after which a new column begins.
    """
    assert all(source < target for source, target in edges), "every edge goes forward"
    rank = [0] * count
    for source, target in sorted(edges, key=lambda edge: edge[1]):
        rank[target] = max(rank[target], rank[source] + 1)
    # Long edges get a corner in every row that they cross.
    owner: list[int] = list(range(count))
    ranks = list(rank)
    widths = [wide] * count
    paths: list[list[int]] = []
    for source, target in edges:
        path = [source]
        for between in range(rank[source] + 1, rank[target]):
            owner.append(-1)
            ranks.append(between)
            widths.append(_LANE)
            path.append(len(ranks) - 1)
        paths.append([*path, target])
    levels: list[list[int]] = [[] for _ in range(max(ranks, default=0) + 1)]
    for node, level in enumerate(ranks):
        levels[level].append(node)
    above: list[list[int]] = [[] for _ in ranks]
    below: list[list[int]] = [[] for _ in ranks]
    for path in paths:
        for source, target in pairwise(path):
            below[source].append(target)
            above[target].append(source)
    _order(levels, above, below)
    x = _across(levels, above, below, widths, apart)
    return _folded(levels, ranks, paths, x, widths, count, (high, gap, rows))


def _order(levels: list[list[int]], above: list[list[int]], below: list[list[int]]) -> None:
    """Sorts each row by the mean position of the neighbours, alternating downward and upward sweeps."""
    position = {node: float(i) for level in levels for i, node in enumerate(level)}
    for sweep in range(_SWEEPS):
        near, order = (above, levels) if sweep % 2 == 0 else (below, levels[::-1])
        for level in order:
            mean = {
                node: sum(position[neighbour] for neighbour in near[node]) / len(near[node])
                if near[node]
                else position[node]
                for node in level
            }
            level.sort(key=lambda node: mean[node])
            position.update({node: float(i) for i, node in enumerate(level)})


def _across(
    levels: list[list[int]], above: list[list[int]], below: list[list[int]], widths: list[float], apart: float
) -> list[float]:
    """The x of each node: near the mean of its neighbours, without overlaps."""
    x = [0.0] * len(widths)
    for level in levels:
        left = 0.0
        for node in level:
            x[node] = left + widths[node] / 2
            left += widths[node] + apart
        for node in level:
            x[node] -= (left - apart) / 2
    for sweep in range(2 * _SWEEPS):
        near, order = (above, levels) if sweep % 2 == 0 else (below, levels[::-1])
        for level in order:
            # Corners of edges do not pull if there are boxes: the chain stays straight, and edges go around it.
            targets = [_pull(node, near[node], x, widths) for node in level]
            _spread(level, targets, x, widths, apart)
    return x


def _pull(node: int, near: list[int], x: list[float], widths: list[float]) -> float:
    widest = max((widths[neighbour] for neighbour in near), default=0.0)
    heavy = [neighbour for neighbour in near if widths[neighbour] == widest]
    return sum(x[neighbour] for neighbour in heavy) / len(heavy) if heavy else x[node]


def _spread(level: list[int], targets: list[float], x: list[float], widths: list[float], apart: float) -> None:
    """Gives each node its target x, or the nearest x that keeps order and distances; boxes have priority."""
    heavy = max(range(len(level)), key=lambda i: (widths[level[i]], -i))
    x[level[heavy]] = targets[heavy]
    for i in range(heavy + 1, len(level)):
        least = x[level[i - 1]] + (widths[level[i - 1]] + widths[level[i]]) / 2 + apart
        x[level[i]] = max(targets[i], least)
    for i in range(heavy - 1, -1, -1):
        most = x[level[i + 1]] - (widths[level[i + 1]] + widths[level[i]]) / 2 - apart
        x[level[i]] = min(targets[i], most)


def _folded(
    levels: list[list[int]],
    ranks: list[int],
    paths: list[list[int]],
    x: list[float],
    widths: list[float],
    count: int,
    sizes: tuple[float, float, int],
) -> Layout:
    """Folds a long graph into columns side by side."""
    high, gap, rows = sizes
    columns = -(-len(levels) // rows)
    rows = -(-len(levels) // columns)  # columns of similar length
    spans = []
    for column in range(columns):
        within = [node for level in levels[column * rows : (column + 1) * rows] for node in level]
        spans.append(
            (min(x[node] - widths[node] / 2 for node in within), max(x[node] + widths[node] / 2 for node in within))
        )
    left, shifts = 0.0, []
    gutter = 0.55
    for low, high_end in spans:
        shifts.append(left - low)
        left += high_end - low + gutter
    centres = []
    for node, level in enumerate(ranks):
        column, row = divmod(level, rows)
        centres.append((x[node] + shifts[column], high / 2 + row * (high + gap) + (gap if columns > 1 else 0.0)))
    routes = []
    for path in paths:
        route: list[tuple[float, float]] = []
        for source, target in pairwise(path):
            (x1, y1), (x2, y2) = centres[source], centres[target]
            start = (x1, y1 + (high / 2 if source < count else 0.0))
            end = (x2, y2 - (high / 2 if target < count else 0.0))
            if source >= count:
                route.append((x1, y1 + high / 2))
                start = route[-1]
            else:
                route.append(start)
            if ranks[source] // rows != ranks[target] // rows:
                # To the next column: down, up through the gutter, and in from the top.
                column = ranks[source] // rows
                lane = spans[column][1] + shifts[column] + gutter / 2
                foot, top = start[1] + gap / 2, end[1] - gap / 2
                route += [(start[0], foot), (lane, foot), (lane, top), (end[0], top)]
            route.append((x2, y2 - high / 2))
        routes.append(route)
    height = min(len(levels), rows) * (high + gap) - gap + (2 * gap if columns > 1 else 0.0)
    return Layout(centres[:count], routes, left - gutter, height)
