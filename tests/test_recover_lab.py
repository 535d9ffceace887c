"""Recovery's benchmarks: zero error for a network that knows the truth, and predictions for packs of real
video frames."""

import tarfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image

from openhmr.bodies.body import Body
from openhmr.bodies.skinning import skin
from openhmr.camera import Camera
from openhmr.errors import InputError
from openhmr.geometry.mesh import edges
from openhmr.geometry.pinhole import gaze_rotation
from openhmr.geometry.rotations import axis_angle_to_matrix
from openhmr.joints import COCO
from openhmr.keypoints import Keypoints
from openhmr.pipeline import Pipeline
from openhmr.predict.lift import Lifter
from openhmr.predict.person_crop import squares
from openhmr.predict.recover import Recoverer
from tests.test_lift import dense_upsampling
from tests.test_recover import BOX, photo
from tests.tiny_lifter import write_tiny_model
from tests.tiny_recover import write_tiny_recoverer

pytest.importorskip("torch")
from openhmr.lab.evaluation import real_frames as real
from openhmr.lab.evaluation import sheets
from openhmr.lab.evaluation.recover_benchmark import COLUMNS, Item, errors, evaluate, items, predictions
from openhmr.lab.synth.shards import read_shards, write_shard

K = np.array([[500.0, 0, 320], [0, 500, 240], [0, 0, 1]])


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory, tiny_body: Body) -> tuple[Recoverer, Lifter]:
    folder = tmp_path_factory.mktemp("onnx")
    lifter = Lifter(write_tiny_model(folder / "l.onnx", tiny_body, "coco", 19), tiny_body)
    return Recoverer(write_tiny_recoverer(folder / "r.onnx", tiny_body), tiny_body), lifter


@pytest.fixture
def shards(tmp_path: Path, tiny_body: Body) -> Path:
    """Five people with true boxes; the pictures are blank."""
    rng = np.random.default_rng(0)
    rows = []
    for i in range(5):
        pose, betas = rng.normal(size=(24, 3)) * 0.2, rng.normal(size=10)
        pose[0] = np.pi, 0, 0
        translation = np.array([0.4 * i - 0.8, 0.1, 4 + 0.3 * i])
        vertices, _ = skin(tiny_body, pose, betas, translation)
        px = vertices @ K.T
        px = px[:, :2] / px[:, 2:]
        box = np.concatenate([px.min(0), np.ptp(px, axis=0)])
        rows.append(
            {
                "K": K,
                "pose": pose,
                "betas": betas,
                "translation": translation,
                "box_xywh": box,
                "joints_px": np.zeros((19, 2)),
                "subject": "05",
            }
        )
    jpeg = cv2.imencode(".jpg", photo()[..., ::-1])[1].tobytes()
    write_shard(tmp_path, 0, 0, [jpeg] * 3, rows[:3], tiny_body)
    write_shard(tmp_path, 1, 3, [jpeg] * 2, rows[3:], tiny_body)
    return tmp_path


def knowing(
    item: Item, row: dict[str, np.ndarray], body: Body
) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
    """A network that answers with the definition of the lixel targets, in float64 until the end."""
    x, y, side = squares(item.box[None])[0]
    ray = np.array([(x - K[0, 2]) / K[0, 0], (y - K[1, 2]) / K[1, 1]])
    turn = gaze_rotation(ray[:1], ray[1:])[0]
    root = (turn @ (body.joint_regressor("human36")[0] @ item.vertices))[2]

    def lixels(points: np.ndarray) -> np.ndarray:
        px = points @ K.T
        xy = (px[:, :2] / px[:, 2:] - [x, y]) / side * 64 + 32
        return np.concatenate([xy, (((points @ turn.T)[:, 2:] - root) / 1.0 + 1) / 2 * 64], 1)[None]

    rotations = axis_angle_to_matrix(row["pose"])
    rotations[0] = turn @ rotations[0]
    coarse = item.vertices[body.level("coarse").vertex_ids]
    out = {
        "vertices_lixel": lixels(coarse),
        "joints_lixel": lixels(body.joint_regressor(COCO) @ item.vertices),
        "scale_m": np.array([root * side / 64 / (K[0, 0] * np.sqrt(1 + ray @ ray))]),
        "rotations": rotations[None],
        "betas": row["betas"][None],
    }
    out |= {
        name.replace("lixel", "sigma"): np.full_like(out[name], 0.5)
        for name in ("vertices_lixel", "joints_lixel")
    }
    return lambda patches: {k: v.astype(np.float32) for k, v in out.items()}


def test_truth_has_no_error(
    models: tuple[Recoverer, Lifter], shards: Path, tiny_body: Body, tmp_path: Path
) -> None:
    class Knowing(Recoverer):
        """A recoverer whose network is exchanged from picture to picture."""

        answer: Callable[[np.ndarray], dict[str, np.ndarray]]

        def run(self, patches: np.ndarray) -> dict[str, np.ndarray]:
            return self.answer(patches)

    recoverer = Knowing(write_tiny_recoverer(tmp_path / "r.onnx", tiny_body), tiny_body)
    lifter = models[1]
    rows = [dict(np.load(p)) for p in sorted(shards.glob("*.npz"))]
    flat = [{k: v[i] for k, v in part.items() if v.ndim} for part in rows for i in range(len(part["K"]))]
    for item, row in zip(items(read_shards(shards, tiny_body), tiny_body, 99), flat, strict=True):
        assert_allclose(
            item.vertices, skin(tiny_body, row["pose"], row["betas"], row["translation"])[0], atol=1e-5
        )
        recoverer.answer = staticmethod(knowing(item, row, tiny_body))
        results = predictions(recoverer, lifter, item)
        numbers = errors(results["param"], item, tiny_body, item.vertices, edges(tiny_body.faces))
        param = dict(zip(COLUMNS, numbers, strict=False))
        assert (
            max(param[k] for k in COLUMNS[:4]) < 0.05
            and param["distance %"] < 1e-2
            and param["overlay %"] < 1e-2
            and param["broken %"] == 0
        )
        # The lixel mesh knows the coarse vertices only; the rest is the body's fixed upsampling of them.
        known = dense_upsampling(tiny_body) @ item.vertices[tiny_body.level("coarse").vertex_ids]
        assert_allclose(results["lixel"].vertices[0], known, atol=1e-4)


def test_table_of_all_methods(models: tuple[Recoverer, Lifter], shards: Path, tmp_path: Path) -> None:
    table = evaluate(*models, shards, 4, detect=True, sheet=tmp_path / "sheet.jpg")
    # In these pictures the detector finds nobody.
    methods = ["param", "lixel", "lift of its 2D joints", "param and lift averaged"]
    assert [row["method"] for row in table] == methods
    for row in table:
        assert row["pictures"] == "4" and all(isinstance(row[c], float) for c in COLUMNS[:6])
    with Image.open(tmp_path / "sheet.jpg") as sheet:
        assert sheet.size == (1920, 240)
    with pytest.raises(InputError, match="holds no shards"):
        evaluate(*models, tmp_path / "none", 4)


@pytest.mark.parametrize("keep", [0.4, 0.7])
def test_cut_shards_are_named_before_the_work(
    models: tuple[Recoverer, Lifter], shards: Path, capsys: pytest.CaptureFixture[str], keep: float
) -> None:
    tar = shards / "images-00001.tar"
    with tarfile.open(tar) as whole:
        end = whole.getmembers()[-1].offset
    tar.write_bytes(tar.read_bytes()[: int(end * keep) if keep < 0.5 else end])
    with pytest.raises(InputError, match=r"images-00001\.tar .*make the shard again"):
        evaluate(*models, shards, 4)
    assert "pictures" not in capsys.readouterr().err, "no progress bar"


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    """Two views of three frames; the person moves to the right by 20 px a frame. And a video that belongs to
    no item."""
    for name in ("a.mp4", "b.mp4", "other.mp4"):
        writer = cv2.VideoWriter(str(tmp_path / name), cv2.VideoWriter_fourcc(*"mp4v"), 30, (640, 480))
        for i in range(6):
            writer.write(photo((BOX[0] + 20 * i, *BOX[1:])))
        writer.release()
    frames, views = np.array([0, 2, 4, 0, 2, 4]), np.array([0, 0, 0, 1, 1, 1])
    x = BOX[0] + 20 * frames
    detected = (
        np.random.default_rng(0).uniform((0, 0), (60, 200), (6, 19, 2))
        + np.stack([x, np.full(6, BOX[1])], 1)[:, None]
    )
    np.savez(
        tmp_path / "pack.npz",
        item_ids=[f"item_{i}" for i in range(6)],
        joint_names=COCO.names,
        det2d_px=detected,
        det2d_score=np.ones((6, 19)),
        view=views,
        K=np.stack([K, K]),
        image_size_wh=[[640, 480]] * 2,
        frame=frames,
        video=[f"some/folder/{'ab'[v]}.mp4" for v in views],
        dist=np.zeros((2, 5)),
        box_xyxy=np.stack([x, np.full(6, BOX[1]), x + BOX[2], np.full(6, BOX[1] + BOX[3])], 1),
    )
    return tmp_path / "pack.npz"


def test_predictions_for_the_scorer(pack: Path, tmp_path: Path, models: tuple[Recoverer, Lifter]) -> None:
    recoverer, lifter = models
    with np.load(pack) as data:
        points = np.concatenate([data["det2d_px"], np.ones((6, 19, 1))], -1).astype(np.float32)
        boxes = data["box_xyxy"] - np.tile(data["box_xyxy"][:, :2], 2) * [0, 0, 1, 1]
    # Everybody of the pack at once, a pixel beside where the pack sees them.
    seen = Keypoints(COCO, points + np.array([1, 0, 0], np.float32), (480, 640), boxes, np.ones(6))
    pipelines = {
        "lift": Pipeline(lifter=lifter),
        "detected": Pipeline(lifter=lifter, detector=lambda image, time_s=None: seen),
        "param": Pipeline(recoverer, keep_all=True),
        "lixel": Pipeline(recoverer, combine="lixel", keep_all=True),
        "recover-lift": Pipeline(recoverer, lifter, combine="lift", keep_all=True),
        "average": Pipeline(recoverer, lifter, combine="average", keep_all=True),
        "found": Pipeline(recoverer, lifter, detector=lambda image, time_s=None: seen, keep_all=True),
    }
    assert tuple(pipelines) == real.SYSTEMS
    found = {}
    for system, pipeline in pipelines.items():
        videos, sheet = (None, None) if system == "lift" else (tmp_path, tmp_path / "sheet.jpg")
        broken = real.predict_pack(
            pack, tmp_path / "pred.npz", pipeline, videos, sheet, find=system == "found"
        )
        assert broken.shape == (6,) and np.isfinite(broken).all()
        assert system != "param" or not broken.any()
        with np.load(tmp_path / "pred.npz") as saved:
            found[system] = dict(saved)
        assert_array_equal(found[system]["names"], COCO.names)
        assert set(found[system]) == {"names"} | {f"item_{i}" for i in range(6)}
    lixel = found["lixel"]
    # 40 px to the right between items of a view, at a distance of 4.5 m for 1.8 m in 200 px.
    step = lixel["item_1"].mean(0) - lixel["item_0"].mean(0)
    assert_allclose(step[0], 40 / 500 * lixel["item_0"][:, 2].mean(), rtol=0.1)
    assert_allclose(lixel["item_3"], lixel["item_0"], atol=15)
    assert cv2.imread(str(tmp_path / "sheet.jpg")).shape[1] == 2 * sheets.TILE * sheets.COLUMNS
    items = {s: np.stack([found[s][f"item_{i}"] for i in range(6)]).round(1) for s in pipelines}
    assert len({i.tobytes() for i in items.values()}) == len(pipelines)


def test_shipped_pipelines() -> None:
    for system in real.SYSTEMS:
        pipeline = real.pipeline_of(system)
        assert (pipeline.recoverer is None) == (system in ("lift", "detected")) and pipeline.keep_all
        assert (pipeline.lifter is None) == (system in ("lixel", "param"))


def test_given_cameras_take_the_place_of_the_packs(
    pack: Path, tmp_path: Path, models: tuple[Recoverer, Lifter]
) -> None:
    pipeline, out = Pipeline(lifter=models[1]), tmp_path / "p.npz"
    real.predict_pack(pack, out, pipeline)
    own = dict(np.load(out))
    far = Camera(K * [[2], [2], [1]] - [[0, 0, 320], [0, 0, 240], [0, 0, 0]], (480, 640))
    real.predict_pack(pack, out, pipeline, cameras={"0": Camera(K, (480, 640)), "1": far})
    given = dict(np.load(out))
    assert_array_equal(given["item_0"], own["item_0"])
    assert given["item_3"][:, 2].mean() > 1.5 * own["item_3"][:, 2].mean()
    with pytest.raises(InputError, match="lack '1'"):
        real.predict_pack(pack, out, pipeline, cameras={"0": far})


def test_wrong_packs_and_videos(pack: Path, tmp_path: Path, models: tuple[Recoverer, Lifter]) -> None:
    recover, lift = Pipeline(models[0], keep_all=True), Pipeline(lifter=models[1])
    with pytest.raises(InputError, match="give the folder of the pack's videos"):
        real.predict_pack(pack, tmp_path / "p.npz", recover)
    with pytest.raises(InputError, match="no readable video"):
        real.predict_pack(pack, tmp_path / "p.npz", recover, tmp_path / "elsewhere")
    with pytest.raises(InputError, match="a sheet shows pictures"):
        real.predict_pack(pack, tmp_path / "p.npz", lift, None, tmp_path / "s.jpg")
    with pytest.raises(InputError, match="ends before frame"):
        real.read_frames(tmp_path / "a.mp4", {50})
    np.savez(tmp_path / "bare.npz", item_ids=["a"])
    with pytest.raises(InputError, match="lacks joint_names"):
        real.predict_pack(tmp_path / "bare.npz", tmp_path / "p.npz", lift)
    assert not (tmp_path / "p.npz").exists()
