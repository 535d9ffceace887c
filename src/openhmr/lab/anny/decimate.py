"""Left-right symmetric mesh decimation that keeps a subset of the vertices.

Edges are collapsed onto one of their ends by quadric error (Garland & Heckbert 1997, restricted to half-edge
collapses so that every level is a vertex subset of the one above), always together with their mirror images,
so that a level has an exact mirror map.
"""

import heapq
import logging

import numpy as np

log = logging.getLogger(__name__)

LENGTH_WEIGHT = 1e-3
"""Weight of squared edge length (times squared edge length) beside the quadric: keeps triangles even where a
surface is flat."""


class _Mesh:
    """Triangles with vertex-to-face incidence, and collapses that can be undone."""

    def __init__(self, vertices: np.ndarray, faces: np.ndarray) -> None:
        self.v = vertices
        self.faces: list[tuple[int, int, int] | None] = [(int(a), int(b), int(c)) for a, b, c in faces]
        self.star: list[set[int]] = [set() for _ in vertices]
        for i, face in enumerate(self.faces):
            for vertex in face or ():
                self.star[vertex].add(i)

    def ring(self, a: int) -> set[int]:
        return {v for f in self.star[a] for v in self.faces[f] or ()} - {a}

    def collapse(self, a: int, b: int) -> list[tuple[int, tuple[int, int, int]]] | None:
        """Collapse vertex ``a`` onto its neighbour ``b``; return the changes to undo, or None if that would
        spoil the surface."""
        ring_a, ring_b = self.ring(a), self.ring(b)
        if b not in ring_a or len(ring_a & ring_b) != 2 or len(ring_a | ring_b) < 6:
            return None
        for c in ring_a & ring_b:
            if len(self.ring(c)) <= 3:
                return None
        changes = []
        for f in self.star[a]:
            face = self.faces[f]
            assert face is not None
            changes.append((f, face))
            if b in face:
                continue
            old = np.array([self.v[i] for i in face])
            new = np.array([self.v[b if i == a else i] for i in face])
            n0, n1 = (np.cross(t[1] - t[0], t[2] - t[0]) for t in (old, new))
            longest = max(float(np.sum((new[i] - new[i - 1]) ** 2)) for i in range(3))
            area = float(np.linalg.norm(n1))
            if float(n0 @ n1) < 0.2 * float(np.linalg.norm(n0)) * area or area < 0.1 * longest:
                return None
        for f, face in changes:
            for vertex in face:
                self.star[vertex].discard(f)
            if b in face:
                self.faces[f] = None
            else:
                p, q, r = (b if i == a else i for i in face)
                self.faces[f] = (p, q, r)
                for vertex in (p, q, r):
                    self.star[vertex].add(f)
        return changes

    def undo(self, changes: list[tuple[int, tuple[int, int, int]]]) -> None:
        for f, face in changes:
            for vertex in self.faces[f] or ():
                self.star[vertex].discard(f)
            self.faces[f] = face
            for vertex in face:
                self.star[vertex].add(f)


def _quadrics(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Area-weighted plane quadrics per vertex, ``(V,4,4)``."""
    a, b, c = (vertices[faces[:, i]] for i in range(3))
    normal = np.cross(b - a, c - a)
    area = np.linalg.norm(normal, axis=1, keepdims=True)
    normal = normal / np.maximum(area, 1e-20)
    plane = np.concatenate([normal, -np.sum(normal * a, 1, keepdims=True)], 1)
    q = plane[:, :, None] * plane[:, None, :] * area[..., None] / 2
    out = np.zeros((len(vertices), 4, 4))
    for i in range(3):
        np.add.at(out, faces[:, i], q)
    return out


def decimate(
    vertices: np.ndarray, faces: np.ndarray, mirror: np.ndarray, importance: np.ndarray, targets: list[int]
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Reduce a closed manifold ``vertices (V,3)``, ``faces (F,3)`` to each of the falling vertex counts
    ``targets``.

    ``mirror (V,)`` maps each vertex to its left-right twin (itself on the midline); ``importance (V,)``
    multiplies the cost of removing a vertex. Returns ``(vertex_ids, faces)`` a target, faces indexing the
    kept vertices; counts may miss by one.
    """
    mesh, q = _Mesh(vertices, faces), _quadrics(vertices, faces)
    version = np.zeros(len(vertices), int)
    heap: list[tuple[float, int, int, int]] = []

    def push(a: int) -> None:
        """Queue the cheapest collapses of ``a`` (only one of each mirror pair is queued)."""
        if mirror[a] < a:
            return
        for b in mesh.ring(a):
            if (mirror[a] == a and mirror[b] != b) or b == mirror[a]:
                continue
            p = np.append(vertices[b], 1.0)
            length = float(np.sum((vertices[a] - vertices[b]) ** 2))
            cost = importance[a] * (float(p @ (q[a] + q[b]) @ p) + LENGTH_WEIGHT * length * length)
            heapq.heappush(heap, (cost, a, b, int(version[a])))

    for a in range(len(vertices)):
        push(a)
    alive, out = len(vertices), []
    for target in targets:
        while alive > target and heap:
            _, a, b, queued = heapq.heappop(heap)
            if version[a] != queued or not mesh.star[a] or not mesh.star[b]:
                continue
            ma, mb = int(mirror[a]), int(mirror[b])
            touched = mesh.ring(a) | (mesh.ring(ma) if ma != a else set())
            first = mesh.collapse(a, b)
            if first is None:
                continue
            q[b] += q[a]
            if ma != a:
                if mesh.collapse(ma, mb) is None:
                    mesh.undo(first)
                    q[b] -= q[a]
                    continue
                q[mb] += q[ma]
            alive -= 2 if ma != a else 1
            version[[a, ma]] += 1
            touched = {min(t, int(mirror[t])) for t in touched if mesh.star[t]}
            for t in touched:
                version[t] += 1
                push(t)
        ids = np.array([i for i in range(len(vertices)) if mesh.star[i]])
        renumber = np.full(len(vertices), -1)
        renumber[ids] = np.arange(len(ids))
        kept = renumber[np.array([f for f in mesh.faces if f is not None])]
        log.info("decimated to %d vertices, %d faces", len(ids), len(kept))
        out.append((ids, kept))
    return out
