"""The argsort of NumPy before it had SIMD sorts: its order among ties decides the graph that official
checkpoints belong to."""

from collections.abc import Sequence

SMALL = 16


def introsort_indices(keys: Sequence[float]) -> list[int]:
    """Indices that sort ``keys`` ascending, ties in the order in which classic NumPy (introsort, not stable)
    leaves them.

    ``numpy.argsort`` itself answers differently from CPU to CPU. Source: docs/originals/pose2mesh.md, "Graph
    coarsening"; checked against NumPy 1.23.5.
    """
    v, t = list(keys), list(range(len(keys)))
    lo, hi, budget = 0, len(t) - 1, 2 * (max(len(t), 1).bit_length() - 1)
    stack: list[tuple[int, int, int]] = []
    while True:
        if budget < 0:
            _heapsort(v, t, lo, hi)
        else:
            while hi - lo >= SMALL:
                i = _partition(v, t, lo, hi)
                budget -= 1
                if i - lo < hi - i:
                    stack.append((i + 1, hi, budget))
                    hi = i - 1
                else:
                    stack.append((lo, i - 1, budget))
                    lo = i + 1
            _insertion(v, t, lo, hi)
        if not stack:
            return t
        lo, hi, budget = stack.pop()


def _partition(v: list[float], t: list[int], lo: int, hi: int) -> int:
    """Hoare partition around the median of three; returns where the pivot ends up."""
    mid = lo + ((hi - lo) >> 1)
    if v[t[mid]] < v[t[lo]]:
        t[mid], t[lo] = t[lo], t[mid]
    if v[t[hi]] < v[t[mid]]:
        t[hi], t[mid] = t[mid], t[hi]
    if v[t[mid]] < v[t[lo]]:
        t[mid], t[lo] = t[lo], t[mid]
    pivot, i, j = v[t[mid]], lo, hi - 1
    t[mid], t[j] = t[j], t[mid]
    while True:
        i += 1
        while v[t[i]] < pivot:
            i += 1
        j -= 1
        while pivot < v[t[j]]:
            j -= 1
        if i >= j:
            break
        t[i], t[j] = t[j], t[i]
    t[i], t[hi - 1] = t[hi - 1], t[i]
    return i


def _insertion(v: list[float], t: list[int], lo: int, hi: int) -> None:
    for i in range(lo + 1, hi + 1):
        index, j = t[i], i
        key = v[index]
        while j > lo and key < v[t[j - 1]]:
            t[j] = t[j - 1]
            j -= 1
        t[j] = index


def _heapsort(v: list[float], t: list[int], lo: int, hi: int) -> None:
    """Binary max-heap on ``t[lo..hi]``, counted from 1 as NumPy's is."""
    n = hi - lo + 1

    def sift(index: int, i: int, size: int) -> None:
        j = 2 * i
        while j <= size:
            if j < size and v[t[lo + j - 1]] < v[t[lo + j]]:
                j += 1
            if not v[index] < v[t[lo + j - 1]]:
                break
            t[lo + i - 1] = t[lo + j - 1]
            i, j = j, 2 * j
        t[lo + i - 1] = index

    for root in range(n >> 1, 0, -1):
        sift(t[lo + root - 1], root, n)
    for last in range(n, 1, -1):
        index = t[lo + last - 1]
        t[lo + last - 1] = t[lo]
        sift(index, 1, last - 1)
