"""Which of these belongs to which of those: the assignment problem."""

import numpy as np
from numpy.typing import NDArray


def assign(cost: NDArray[np.float64], most: float) -> list[tuple[int, int]]:
    """Pairs (row, column) of ``cost (N,M)`` with the least sum, where a row that goes without costs ``most``.

    The shortest augmenting paths of Jonker and Volgenant (Computing 38, 1987), without their initialisation:
    exact, in N² (M + N) steps. Ours, so that the runtime needs no SciPy; the tests compare with
    ``scipy.optimize.linear_sum_assignment``.
    """
    rows, columns = cost.shape
    if not cost.size:
        return []
    # A column of its own for every row that goes without.
    whole = np.full((rows, columns + rows), np.inf)
    whole[:, :columns] = np.where(np.isfinite(cost), cost, np.inf)
    whole[np.arange(rows), columns + np.arange(rows)] = most
    u, v = np.zeros(rows), np.zeros(columns + rows)
    row_of = np.full(columns + rows, -1)
    for row in range(rows):
        _augment(whole, row, u, v, row_of)
    return sorted((int(row_of[c]), c) for c in range(columns) if row_of[c] >= 0)


def _augment(cost: NDArray, row: int, u: NDArray, v: NDArray, row_of: NDArray) -> None:
    """Give ``row`` a column along the shortest path, which may move earlier rows; ``u`` and ``v`` are the
    dual variables, which stay feasible. All in place."""
    distance, before = np.full(len(v), np.inf), np.full(len(v), -1)
    done, column, here = np.zeros(len(v), bool), -1, row
    length = 0.0
    while True:
        reached = length + cost[here] - u[here] - v
        nearer = ~done & (reached < distance)
        distance[nearer], before[nearer] = reached[nearer], column
        open_ = np.where(done, np.inf, distance)
        column = int(open_.argmin())
        length, done[column] = float(open_[column]), True
        if row_of[column] < 0:
            break
        here = int(row_of[column])
    u[row] += length
    for c in np.flatnonzero(done):
        if c != column:
            u[row_of[c]] += length - distance[c]
        v[c] -= length - distance[c]
    while column >= 0:
        previous = int(before[column])
        row_of[column] = row if previous < 0 else row_of[previous]
        column = previous
