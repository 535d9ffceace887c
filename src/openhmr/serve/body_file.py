"""The body as the page reads it: the arrays that its numbers need, in one small file."""

import json
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openhmr.bodies.body import Body
from openhmr.joints import JOINT_SETS, POINTS, SMPL, JointSet, has_points, point_indices
from openhmr.predict.coarse_mesh import coarse_level, coarse_regressor
from openhmr.render.suit import SHIRTS, suit_of

_ALIGN = 8


def body_file(body: Body) -> bytes:
    """``body``, its suit and the joint sets that its points cover, as bytes.

    The length of a JSON header as little-endian uint32, the header, then arrays at the offsets that the
    header names, counted from the next multiple of 8: ``name -> [type, shape, offset]``. Sparse matrices are
    three arrays, ``start`` of every row, ``columns`` and ``values``. The body needs a coarse level, a
    regressor of the points and SMPL's joints, and has no pose correctives.
    """
    arrays = _arrays(body)
    header: dict[str, Any] = {
        "body": body.content_hash(),
        "joint_names": SMPL.names,
        "joint_sets": {s.name: _joint_set(s) for s in JOINT_SETS.values() if has_points(s)},
        "shirts": SHIRTS,
        "arrays": {},
    }
    offset, parts = 0, list[bytes]()
    for name, array in arrays.items():
        data = np.ascontiguousarray(array).tobytes()
        data += bytes(-len(data) % _ALIGN)
        header["arrays"][name] = [array.dtype.str.lstrip("<"), list(array.shape), offset]
        parts.append(data)
        offset += len(data)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-(4 + len(text)) % _ALIGN)
    return struct.pack("<I", len(text)) + text + b"".join(parts)


def _arrays(body: Body) -> dict[str, NDArray]:
    assert not body.posedirs.shape[-1] and body.num_vertices < 1 << 16
    level = coarse_level(body)
    assert level.upsample is not None
    rows, columns, values = level.upsample
    upsample = np.zeros((body.num_vertices, len(level.vertex_ids)), np.float32)
    np.add.at(upsample, (rows, columns), values)
    points = body.joint_regressor(POINTS)
    sparse = {
        "weights": body.weights,
        "J_regressor": body.J_regressor,
        "upsample": upsample,
        "points": coarse_regressor(body, points),
        "root": body.root_regressor[None],
    }
    out: dict[str, NDArray] = {
        "v_template": body.v_template,
        "shapedirs": body.shapedirs,
        "parents": body.parents.astype(np.int16),
        "faces": body.faces.astype(np.uint16),
        "coarse_ids": level.vertex_ids.astype(np.uint16),
        "point_shares": (np.abs(points) @ body.weights).astype(np.float32),
    }
    for name, matrix in sparse.items():
        row, column = np.nonzero(matrix)
        starts = np.searchsorted(row, np.arange(len(matrix) + 1))
        out |= {
            f"{name}.start": starts.astype(np.uint32),
            f"{name}.columns": column.astype(np.uint16),
            f"{name}.values": matrix[row, column].astype(np.float32),
        }
    return out | _suit(body)


def _suit(body: Body) -> dict[str, NDArray]:
    """How cloth lies on the body: see :class:`~openhmr.render.drape.Drape`."""
    suit = suit_of(body)
    assert suit.edges is not None and suit.drape is not None
    drape = suit.drape
    out: dict[str, NDArray] = {
        "suit.edges": np.ascontiguousarray(suit.edges.T),
        "suit.cloth": drape.cloth.astype(np.uint16),
        "suit.neighbours": np.ascontiguousarray(drape.neighbours.T).astype(np.uint16),
        "suit.loose": drape.loose[:, 0],
        "suit.rounds": np.array([drape.rounds], np.uint16),
    }
    for i, cap in enumerate(drape.caps):
        out |= {
            f"cap{i}.vertices": cap.vertices.astype(np.uint16),
            f"cap{i}.rest": cap.rest,
            f"cap{i}.cap": cap.cap,
            f"cap{i}.normals": cap.normals,
            f"cap{i}.fade": cap.fade[:, 0],
        }
    return out


def _joint_set(joint_set: JointSet) -> dict[str, Any]:
    index = joint_set.names.index
    return {
        "names": joint_set.names,
        "base": len(joint_set.base),
        "skeleton": joint_set.skeleton,
        "points": point_indices(joint_set).tolist(),
        "derived": [
            (index(name), [index(s) for s in sources]) for name, sources in joint_set.derived.items()
        ],
        "root": joint_set.root,
    }
