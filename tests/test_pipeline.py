"""The one composition of detector, networks and average, on pictures, poses and streams."""

import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from openhmr.bodies.body import Body
from openhmr.camera import Camera
from openhmr.errors import InputError, NothingFound
from openhmr.io.poses import check_pose2d
from openhmr.joints import COCO
from openhmr.keypoints import Keypoints
from openhmr.people import People, Rig, Sigma
from openhmr.pipeline import Picture, Pipeline, best_overlaps
from openhmr.predict.average import average, lift_sigma
from openhmr.predict.body_fit import with_rig
from openhmr.predict.certainty import (
    GUESS_M,
    MISFIT_MM,
    NOBODY,
    PARTS,
    SPREAD,
    UNSURE,
    doubt,
    guessed_parts,
    is_nobody,
    misfit_mm,
    spread,
)
from openhmr.predict.lift import Lifter
from openhmr.predict.person_crop import squares, virtual_cameras
from openhmr.predict.recover import Recoverer
from tests.test_lift import poses
from tests.test_people import make_people
from tests.test_recover import BOX, photo
from tests.tiny_lifter import write_tiny_model
from tests.tiny_recover import write_tiny_recoverer

BOXES = np.array([BOX, (280.0, 100, 100, 260)])


@pytest.fixture(scope="module")
def recoverer(tmp_path_factory: pytest.TempPathFactory, tiny_body: Body) -> Recoverer:
    return Recoverer(write_tiny_recoverer(tmp_path_factory.mktemp("r") / "m.onnx", tiny_body), tiny_body)


@pytest.fixture(scope="module")
def lifter(tmp_path_factory: pytest.TempPathFactory, tiny_body: Body) -> Lifter:
    return Lifter(write_tiny_model(tmp_path_factory.mktemp("l") / "m.onnx", tiny_body, "coco", 19), tiny_body)


def upright(pose2d: np.ndarray) -> np.ndarray:
    """The poses ``(N,17,3)`` with shoulders above their hips, whatever the rest does."""
    pose2d[:, [5, 6, 11, 12], :2] = [(240, 120), (170, 125), (225, 260), (185, 262)]
    pose2d[:, [5, 6, 11, 12], 2] = 0.9
    return pose2d


def found(count: int) -> Keypoints:
    points = check_pose2d(upright(poses()), COCO)[:count]
    return Keypoints(COCO, points, (480, 640), BOXES[:count], np.ones(count))


def test_each_combination_is_its_parts(recoverer: Recoverer, lifter: Lifter) -> None:
    picture = Picture(photo(), boxes=BOXES)
    param = recoverer(photo(), BOXES)
    lifted = lifter(param.keypoints, param.camera)
    wanted = {
        "param": param.parametric(),
        "lixel": param.lixel(),
        "lift": lifted,
        "average": average(param, lifted),
    }
    assert_array_equal(Pipeline(recoverer, keep_all=True).one(picture).people.vertices, param.vertices)
    for combine, people in wanted.items():
        made = Pipeline(recoverer, lifter, combine=combine, keep_all=True).one(picture).people  # type: ignore[arg-type]
        assert_array_equal(made.vertices, people.vertices)
        assert made.rig is not None


def test_detected_people_are_recovered_or_lifted(recoverer: Recoverer, lifter: Lifter) -> None:
    def detector(image: np.ndarray, time_s: float | None = None) -> Keypoints:
        assert image.shape == (480, 640, 3) and time_s == 1.5
        return found(2)

    picture = Picture(photo(), time_s=1.5)
    frame = Pipeline(recoverer, detector=detector, keep_all=True).one(picture)
    assert_array_equal(frame.people.vertices, recoverer(photo(), BOXES).vertices)
    scores = found(2).scores
    for people in (frame.people, recoverer(photo(), BOXES, scores=found(2).scores)):
        assert scores is not None and people.keypoints.scores is not None
        assert_array_equal(people.keypoints.scores, scores)
    frame = Pipeline(lifter=lifter, detector=detector).one(picture)
    assert_array_equal(frame.people.vertices, lifter(found(2)).vertices)
    assert frame.time_s == 1.5


def test_poses_are_lifted(lifter: Lifter) -> None:
    camera = Camera.from_focal(700, (480, 640))
    frame = Pipeline(lifter=lifter).one(Picture(keypoints=found(2), camera=camera))
    assert_array_equal(frame.people.vertices, lifter(found(2), camera).vertices)
    assert frame.image is None


def test_nobody_is_an_empty_frame_of_a_stream_and_an_error_alone(
    recoverer: Recoverer, lifter: Lifter
) -> None:
    pipeline = Pipeline(lifter=lifter, detector=lambda image, time_s=None: found(0))
    frames = list(pipeline([Picture(photo()), Picture(keypoints=found(1))]))
    assert [len(f.people) for f in frames] == [0, 1] and [f.index for f in frames] == [0, 1]
    with pytest.raises(NothingFound, match="nobody was found in x.jpg"):
        pipeline.one(Picture(photo(), name="x.jpg"))
    with pytest.raises(InputError, match="the stream holds ndarray; Pictures are needed"):
        list(pipeline([photo()]))  # type: ignore[list-item]


def boxed(body: Body) -> People:
    """Three people in boxes of which the joints' spread is the usual share."""
    people = make_people(body)
    assert people.sigma is not None
    across = np.linalg.norm(people.sigma.joints[:, 0, :2], axis=-1)
    tall = across * people.camera.K[0, 0] / people.roots[:, 2] / SPREAD
    boxes = np.stack([np.zeros(3), np.zeros(3), tall / 2, tall], 1)
    return replace(people, keypoints=replace(people.keypoints, boxes=boxes))


def bent(people: People, mm: float) -> People:
    """The drawn mesh moved away from its body by ``mm`` on average."""
    rng = np.random.default_rng(0)
    noise = rng.normal(size=people.vertices.shape).astype(np.float32)
    noise *= mm / 1000 / np.linalg.norm(noise, axis=-1).mean(-1)[:, None, None]
    return replace(people, lixel_vertices=people.vertices + noise)


def test_who_is_not_there_is_left_out(
    tiny_body: Body, recoverer: Recoverer, caplog: pytest.LogCaptureFixture
) -> None:
    people = boxed(tiny_body)
    assert not is_nobody(bent(people, 9 * MISFIT_MM)).any(), "the detector has seen them"
    people = replace(people, keypoints=replace(people.keypoints, scores=None))
    assert_allclose(misfit_mm(bent(people, 40)), 40, rtol=1e-3)
    for times, gone in ((NOBODY - 0.1, False), (NOBODY + 0.1, True)):
        assert (is_nobody(bent(people, times * MISFIT_MM)) == gone).all()
    assert not is_nobody(make_people(tiny_body, rig=False)).any() and is_nobody(people[0:0]).shape == (0,)

    class Second(Recoverer):
        """Sees the second of two people as a monster."""

        def __init__(self) -> None: ...

        def __call__(self, *_: object, **__: object) -> People:  # type: ignore[override]
            wild = bent(people, 300)
            drawn = np.stack([people.vertices[0], wild.lixel_vertices[1], people.vertices[2]])  # type: ignore[index]
            return replace(people, lixel_vertices=drawn)

    class Monsters(Second):
        def __call__(self, *_: object, **__: object) -> People:  # type: ignore[override]
            return bent(people, 300)

    with pytest.raises(NothingFound, match="to be seen in the boxes given for the picture"):
        Pipeline(Monsters()).one(Picture(photo(), boxes=BOXES))
    assert not caplog.text  # the error says it
    kept = Pipeline(Second()).one(Picture(photo(), boxes=BOXES)).people
    assert_array_equal(kept.track_ids, [0, 20])  # type: ignore[arg-type]
    assert "left out 1 of 3" in caplog.text
    assert len(Pipeline(Second(), keep_all=True).one(Picture(photo(), boxes=BOXES)).people) == 3


def test_the_uncertain_are_named(tiny_body: Body, caplog: pytest.LogCaptureFixture) -> None:
    """Doubt grows with misfit and spread alike."""
    people = bent(boxed(tiny_body), MISFIT_MM)
    assert people.sigma is not None
    assert_allclose(doubt(people), 1, rtol=1e-3)
    joints = people.sigma.joints * np.array([1, UNSURE + 0.1, 1], np.float32)[:, None, None]

    class Unsure(Recoverer):
        def __init__(self) -> None: ...

        def __call__(self, *_: object, **__: object) -> People:  # type: ignore[override]
            return replace(people, sigma=replace(people.sigma, joints=joints))  # type: ignore[type-var]

    Pipeline(Unsure()).one(Picture(photo(), boxes=BOXES))
    assert "person 1 is 2.0 times as doubtful" in caplog.text and "person 0" not in caplog.text


def test_spread_is_the_same_at_every_distance_and_size(tiny_body: Body) -> None:
    """A deviation as large as the box is high has a spread of 1."""
    people = boxed(tiny_body)
    assert people.sigma is not None and people.keypoints.boxes is not None
    metres = people.keypoints.boxes[:, 3] * people.roots[:, 2] / people.camera.K[0, 0]
    joints = np.zeros((3, 19, 3), np.float32)
    joints[..., 0] = metres[:, None]
    joints[..., 2] = 99
    assert_allclose(spread(replace(people, sigma=replace(people.sigma, joints=joints))), 1, rtol=1e-5)


def test_streams_need_bounded_memory(recoverer: Recoverer) -> None:
    """A generator of pictures is taken one by one, and no frame is kept."""
    taken = []

    def source() -> Iterator[Picture]:
        for i in range(200):
            taken.append(i)
            yield Picture(photo(), boxes=BOXES[:1], name=str(i))

    frames = Pipeline(recoverer, keep_all=True)(source())
    first = next(frames)
    assert taken == [0] and first.name == "0"
    tracemalloc.start()
    for frame in frames:
        assert len(frame.people) == 1
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert frame.index == 199 and peak < 20e6


def test_wrong_compositions(recoverer: Recoverer, lifter: Lifter) -> None:
    with pytest.raises(InputError, match="needs a recoverer for photos, or a lifter"):
        Pipeline()
    with pytest.raises(InputError, match="'average' needs a lifter"):
        Pipeline(recoverer, combine="average")
    with pytest.raises(InputError, match=r"write Pipeline\(lifter=\.\.\.\)"):
        Pipeline(lifter)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"write Pipeline\(recoverer\)"):
        Pipeline(lifter=recoverer)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="combine is 'mean'; one of param, lixel, lift, average"):
        Pipeline(recoverer, lifter, combine="mean")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="neither image nor keypoints"):
        Pipeline(recoverer).one(Picture())
    with pytest.raises(InputError, match="has no lifter"):
        Pipeline(recoverer).one(Picture(keypoints=found(1)))


def test_average_weighs_by_variance(recoverer: Recoverer, lifter: Lifter, tiny_body: Body) -> None:
    recovered = recoverer(photo(), BOXES)
    lifted = lifter(recovered.keypoints, recovered.camera)
    both = average(recovered, lifted)
    assert recovered.sigma is not None and both.sigma is not None
    pelvis = tiny_body.joint_regressor("human36")[0].astype(float)
    for i, turn in enumerate(virtual_cameras(squares(BOXES), recovered.camera)[0]):
        meshes = recovered.vertices[i].astype(float), lifted.vertices[i].astype(float)
        a, b = ((v - pelvis @ v) @ turn.T for v in meshes)
        w = 1 / recovered.sigma.vertices[i].astype(float) ** 2
        u = 1 / lift_sigma(recovered.sigma)[i] ** 2
        expected = (w * a + u * b) / (w + u)
        expected = (expected - pelvis @ expected) @ turn + recovered.roots[i]
        assert_allclose(both.vertices[i], expected, atol=1e-4)
        assert_allclose(both.sigma.vertices[i], (w + u) ** -0.5, rtol=1e-4)
    blurred = replace(recovered.sigma, joints=recovered.sigma.joints * 10)
    assert (lift_sigma(blurred) > lift_sigma(recovered.sigma)).all()
    assert_allclose(both.roots, recovered.roots, atol=1e-5)
    with pytest.raises(InputError, match="an average needs"):
        average(lifted, recovered)
    assert isinstance(both.rig, Rig)


def test_distorted_streams_are_straightened(recoverer: Recoverer, lifter: Lifter, tmp_path: Path) -> None:
    camera = Camera.from_focal(600, (480, 640))
    lens = Camera(camera.K, (480, 640), dist=[0.12, 0, 0, 0])
    frame = Pipeline(recoverer, keep_all=True).one(Picture(photo(), boxes=BOXES[:1], camera=lens))
    assert frame.people.camera.dist is None and frame.image is not None
    assert_array_equal(frame.image, lens.undistort_image(photo()))
    assert_array_equal(frame.people.vertices, recoverer(photo(), BOXES[0], lens).vertices)
    lifted = Pipeline(lifter=lifter).one(Picture(keypoints=found(2), camera=lens)).people
    assert_array_equal(lifted.vertices, lifter(found(2), lens).vertices)


def test_boxes_find_whom_they_overlap_best() -> None:
    seen = replace(found(2), boxes=np.array([(0.0, 0, 10, 10), (100, 0, 20, 20)]))
    boxes = np.array([(102.0, 1, 20, 20), (1, 1, 10, 10), (50, 50, 10, 10), (0, 0, 40, 40)])
    # The last one's overlap is 100 / 1600 of both together.
    assert best_overlaps(boxes, seen) == [1, 0, None, None]
    assert best_overlaps(boxes, Keypoints.nobody(COCO, (480, 640))) == [None] * 4


def test_where_the_photo_network_fails_the_detected_joints_are_lifted(
    tmp_path: Path, lifter: Lifter, tiny_body: Body, caplog: pytest.LogCaptureFixture
) -> None:
    """The stand-in's second person is doubtful: a deviation that is as large as the person."""
    file = write_tiny_recoverer(tmp_path / "doubtful.onnx", tiny_body)
    recoverer = Recoverer(file, tiny_body)
    plain = recoverer(photo(), BOXES)
    assert plain.sigma is not None and plain.lixel_vertices is not None
    broken = plain.lixel_vertices.copy()
    broken[1] += np.random.default_rng(0).normal(0, 0.5, broken[1].shape).astype(np.float32)
    sigma = replace(plain.sigma, joints=plain.sigma.joints * np.array([0.01, 50])[:, None, None])
    doubtful = replace(plain, lixel_vertices=broken, sigma=sigma)
    assert list(doubt(doubtful) > UNSURE) == [False, True]

    class Doubtful(Recoverer):
        def __call__(self, *_: object, **__: object) -> People:  # type: ignore[override]
            return doubtful

    pipeline = Pipeline(Doubtful(file, tiny_body), lifter, lambda image, time_s=None: found(2))
    people = pipeline.one(Picture(photo())).people
    assert "2D pose" not in caplog.text  # nobody gave one whose order of joints could be wrong
    assert_array_equal(people.vertices[0], plain.vertices[0])
    lifted = with_rig(lifter(found(2)[[1]], plain.camera)).parametric()
    assert_array_equal(people.keypoints.points[1], lifted.keypoints.points[0])
    assert_array_equal(people.vertices[1], lifted.vertices[0])
    assert people.rig is not None and len(people.rig.pose) == 2
    # Without a lifter, or where the detector sees nobody at that place, all stays as it was.
    alone = Pipeline(Doubtful(file, tiny_body), None, lambda image, time_s=None: found(2), keep_all=True)
    assert_array_equal(alone.one(Picture(photo())).people.vertices, plain.vertices)
    elsewhere = replace(found(2), boxes=np.array([(600.0, 0, 9, 9), (0.0, 0, 5, 5)]))
    blind = Pipeline(Doubtful(file, tiny_body), lifter, lambda image, time_s=None: elsewhere, keep_all=True)
    assert_array_equal(blind.one(Picture(photo(), boxes=BOXES)).people.vertices, plain.vertices)


def test_parts_that_nobody_saw_are_guesses(tiny_body: Body) -> None:
    people = make_people(tiny_body)
    points = np.ones_like(people.keypoints.points)
    points[0, [13, 15], 2], points[1, [13], 2] = 0.1, 0.0
    people = replace(people, keypoints=replace(people.keypoints, points=points))
    sure = replace(people, sigma=None)
    assert guessed_parts(sure)[:2] == [["left leg"], []]
    wide = Sigma(
        np.full(people.vertices.shape, GUESS_M, np.float32), np.full(points.shape, GUESS_M, np.float32)
    )
    assert guessed_parts(replace(people, sigma=wide))[1] == list(PARTS)
