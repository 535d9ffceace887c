"""The mesh graph against recorded results of the official coarsening, and against exact identities."""

import time

import numpy as np
import pytest
from scipy import sparse

from openhmr.errors import InputError
from openhmr.joints import COCO, HUMAN36, MANO, SMPL
from openhmr.lab.graphs import coarsen, laplacian, mesh_graph
from openhmr.lab.graphs.introsort import introsort_indices

CASES = {"human36_ico642": HUMAN36, "mano_hand": MANO, "smpl_body3k": SMPL, "coco_body6k": COCO}


def faces_of(data, mesh: str) -> np.ndarray:
    with np.load(data / "pose2mesh" / "meshes.npz") as meshes:
        return meshes[f"{mesh}_f"]


@pytest.fixture(scope="module", params=CASES)
def case(request, data):
    reference = dict(np.load(data / "pose2mesh" / f"graph_{request.param}.npz"))
    faces = faces_of(data, request.param.split("_")[1])
    return mesh_graph.build(faces, CASES[request.param], int(reference["num_levels"])), reference


def assert_sparse_equal(matrix: sparse.csr_matrix, reference: dict, name: str) -> None:
    """Equal to 1e-10, and with exactly the same non-zeros."""
    if f"{name}_row" not in reference:
        return
    coo = matrix.tocoo()
    order = np.lexsort((coo.col, coo.row))
    np.testing.assert_array_equal(coo.row[order], reference[f"{name}_row"])
    np.testing.assert_array_equal(coo.col[order], reference[f"{name}_col"])
    np.testing.assert_allclose(coo.data[order], reference[f"{name}_val"], rtol=0, atol=1e-10)


def test_node_order_is_the_official_one(case):
    graph, reference = case
    for k, order in enumerate(graph.orders):
        np.testing.assert_array_equal(order, reference[f"perm{k}"])
    np.testing.assert_array_equal(graph.perm_reverse, reference["perm_reverse"])


def test_matrices_are_the_official_ones(case):
    graph, reference = case
    np.testing.assert_allclose(graph.lmax, reference["lmax"], rtol=0, atol=1e-10)
    for k in range(graph.levels + 1):
        assert_sparse_equal(graph.joints if k == graph.levels else graph.adjacencies[k], reference, f"A{k}")
        assert_sparse_equal(graph.laplacians[k], reference, f"L{k}")


def test_each_graph_is_the_last_one_with_siblings_merged(case):
    graph, _ = case
    for fine, coarse in zip(graph.adjacencies[:-1], graph.adjacencies[1:], strict=True):
        size = coarse.shape[0]
        merge = sparse.csr_matrix((np.ones(2 * size), (np.arange(2 * size) // 2, np.arange(2 * size))))
        assert abs(merge @ fine @ merge.T - coarse).sum() == 0


def test_fake_nodes_are_isolated(case):
    graph, _ = case
    for order, real, adjacency in zip(graph.orders, graph.real, graph.adjacencies, strict=True):
        assert sorted(order) == list(range(len(order)))
        fake = order >= real
        assert adjacency[fake].nnz == adjacency[:, fake].nnz == 0 and abs(adjacency - adjacency.T).sum() == 0


def test_rescaled_spectrum(case):
    """Of L / (2 lmax) - I: between -1 and -1/2, and -1/2 is attained."""
    graph, _ = case
    for matrix in graph.laplacians[4 : graph.levels]:
        values = np.linalg.eigvalsh(matrix.toarray())
        assert values.min() >= -1 - 1e-12 and values.max() == pytest.approx(-0.5, abs=1e-10)


def test_largest_eigenvalue_equals_dense_one(case):
    matrix = laplacian.normalized_laplacian(case[0].adjacencies[3])
    assert laplacian.largest_eigenvalue(matrix) == pytest.approx(
        np.linalg.eigvalsh(matrix.toarray()).max(), abs=1e-12
    )


def test_introsort_leaves_ties_as_classic_numpy(data):
    """Recorded with numpy.argsort, SIMD switched off; the killer sequences force the heapsort."""
    recorded = np.load(data / "pose2mesh" / "introsort.npz")
    names = [name for name in recorded.files if not name.endswith("_order")]
    assert {"ties2000", "killer600"} < set(names)
    for name in names:
        np.testing.assert_array_equal(introsort_indices(recorded[name].tolist()), recorded[name + "_order"])


@pytest.mark.parametrize("count", [0, 1, 2, 16, 17, 18])
def test_introsort_of_few(count):
    keys = np.random.default_rng(count).permutation(count).tolist()
    assert [keys[i] for i in introsort_indices(keys)] == list(range(count))


def test_tree_order_of_the_worked_example():
    parents = [np.array([4, 1, 1, 2, 2, 3, 0, 0, 3]), np.array([2, 1, 0, 1, 0])]
    orders = [order.tolist() for order in coarsen.tree_order(parents)]
    assert orders == [[3, 4, 0, 9, 1, 2, 5, 8, 6, 7, 10, 11], [2, 4, 1, 3, 0, 5], [0, 1, 2]]


def test_adjacency_keeps_the_quirk_of_edges_with_three_faces():
    tetrahedron = np.array([[0, 1, 2], [0, 3, 1], [1, 3, 2], [0, 2, 3]])
    np.testing.assert_array_equal(coarsen.mesh_adjacency(tetrahedron).toarray(), 1 - np.eye(4))
    fan = np.array([[0, 1, 2], [0, 1, 3], [0, 1, 4]])
    assert coarsen.mesh_adjacency(fan)[0, 1] == coarsen.mesh_adjacency(fan)[1, 0] == 2


@pytest.mark.parametrize(
    ("faces", "message"),
    [
        ([[0, 1, 3]], "remove the isolated"),
        ([[0, 1]], "triangles"),
        ([[0, 1, -1]], "triangles"),
        (np.zeros((0, 3), int), "triangles"),
    ],
)
def test_bad_meshes_are_refused(faces, message):
    with pytest.raises(InputError, match=message):
        mesh_graph.build(np.array(faces), COCO, 3)


def test_cache(tmp_path, data, caplog):
    faces = faces_of(data, "ico642")
    built = mesh_graph.load_or_build(faces, HUMAN36, 9, tmp_path)
    (file,) = tmp_path.iterdir()
    loaded = mesh_graph.load_or_build(faces, HUMAN36, 9, tmp_path)
    assert loaded.digest == built.digest and loaded.real == built.real
    for a, b in zip(loaded.laplacians, built.laplacians, strict=True):
        assert a.shape == b.shape and abs(a - b).sum() == 0
    assert mesh_graph.load_or_build(faces, HUMAN36, 6, tmp_path).digest != built.digest
    assert mesh_graph.load_or_build(faces, COCO, 9, tmp_path).digest != built.digest
    file.write_bytes(file.read_bytes()[:1000])
    assert mesh_graph.load_or_build(faces, HUMAN36, 9, tmp_path).digest == built.digest
    assert "damaged" in caplog.text
    assert (
        mesh_graph.load_or_build(faces, HUMAN36, 9, tmp_path).digest == built.digest
        and len(list(tmp_path.iterdir())) == 3
    )


def test_building_is_quick(data):
    faces = faces_of(data, "body6k")
    start = time.process_time()
    mesh_graph.build(faces, COCO, 9)
    assert time.process_time() - start < 3
