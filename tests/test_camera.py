"""Cameras: one pixel convention, exact inverses, OpenCV's distortion, and a sentence for what is no
camera."""

import cv2
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from openhmr.camera import FIELD_OF_VIEW, Camera, check_camera, image_size_around
from openhmr.errors import InputError

SIZE = (480, 640)
DIST = np.array([-0.3, 0.12, 0.001, -0.0015, -0.02])


def test_assumed_camera_looks_through_the_centre_of_the_middle_pixel() -> None:
    camera = Camera.assumed((481, 641))
    assert_array_equal(camera.principal_px, [320, 240])
    # The longer side spans from the left edge of the first pixel to the right edge of the last one.
    assert_allclose(2 * np.arctan(0.5 * 641 / camera.K[0, 0]), FIELD_OF_VIEW)
    assert camera.source == "assumed" and camera.image_size == (481, 641)


def test_rays_invert_projection_and_equal_opencv() -> None:
    K = np.array([[700.0, 0, 300], [0, 710, 250], [0, 0, 1]])
    camera, rng = Camera(K, SIZE), np.random.default_rng(0)
    points = rng.normal(size=(50, 3)) + [0, 0, 6]
    pixels = camera.project(points)
    assert_allclose(pixels, cv2.projectPoints(points, np.zeros(3), np.zeros(3), K, None)[0][:, 0])
    assert_allclose(camera.rays(pixels) * points[:, 2:], points)


def test_undistorted_points_project_back() -> None:
    camera = Camera([[600, 0, 320], [0, 600, 240], [0, 0, 1]], SIZE, dist=DIST)
    y, x = np.mgrid[0:480:40, 0:640:40]
    pixels = np.stack([x, y], -1).astype(float)
    straight = camera.undistort_points(pixels)
    rays = camera.straight().rays(straight).reshape(-1, 3)
    again = cv2.projectPoints(rays, np.zeros(3), np.zeros(3), camera.K, camera.dist)[0].reshape(pixels.shape)
    assert_allclose(again, pixels, atol=1e-4)
    assert camera.straight().dist is None


def test_undistorted_pictures_agree_with_undistorted_points() -> None:
    camera = Camera([[600, 0, 320], [0, 600, 240], [0, 0, 1]], SIZE, dist=DIST)
    spot = np.array([520.0, 90.0])
    y, x = np.mgrid[:480, :640]
    bell = 255 * np.exp(-((x - spot[0]) ** 2 + (y - spot[1]) ** 2) / 50)
    grey = camera.undistort_image(np.rint(bell).astype(np.uint8)[..., None].repeat(3, -1))[..., 0].astype(
        float
    )
    found = np.array([(grey * x).sum(), (grey * y).sum()]) / grey.sum()
    assert_allclose(found, camera.undistort_points(spot), atol=0.15)


def test_undistorted_boxes_hold_what_boxes_held() -> None:
    camera = Camera([[600, 0, 320], [0, 600, 240], [0, 0, 1]], SIZE, dist=DIST)
    box = np.array([[40.0, 30, 200, 400]])
    x, y, w, h = camera.undistort_boxes(box)[0]
    inside = camera.undistort_points(
        box[0, :2] + np.random.default_rng(0).uniform(0, 1, (500, 2)) * box[0, 2:]
    )
    assert (inside >= [x - 0.5, y - 0.5]).all() and (inside <= [x + w + 0.5, y + h + 0.5]).all()
    assert np.ptp(inside[:, 0]) > 0.95 * w and np.ptp(inside[:, 1]) > 0.95 * h


def test_without_distortion_nothing_is_touched() -> None:
    camera, image = Camera.assumed(SIZE), np.zeros((480, 640, 3), np.uint8)
    assert camera.straight() is camera and camera.undistort_image(image) is image


def test_arrays_are_read_only() -> None:
    camera = Camera(np.diag([500.0, 500, 1]) + [[0, 0, 320], [0, 0, 240], [0, 0, 0]], SIZE, down=[0, 2, 0])
    with pytest.raises(ValueError, match="read-only"):
        camera.K[0, 0] = 1
    assert camera.down is not None
    assert_array_equal(camera.down, [0, 1, 0])


GOOD = [[500, 0, 320], [0, 500, 240], [0, 0, 1]]


def changed(row: int, column: int, value: float) -> list[list[float]]:
    K = [list(map(float, r)) for r in GOOD]
    K[row][column] = value
    return K


@pytest.mark.parametrize(
    ("K", "cause"),
    [
        (np.eye(4), "3 x 3 camera matrix"),
        (np.full((3, 3), np.nan), "3 x 3 camera matrix"),
        ([700, 320, 240], "3 x 3 camera matrix"),
        ("q", "3 x 3 camera matrix"),
        ([[1], [2, 3]], "3 x 3 camera matrix"),
        (changed(0, 0, 1e-300), "focal length"),
        (changed(1, 1, 1e300), "focal length"),
        ([[10**400, 0, 0], [0, 1, 0], [0, 0, 1]], "3 x 3 camera matrix"),
        (changed(0, 0, -500), "focal length"),
        (changed(0, 1, 3), "skew"),
        (changed(1, 0, 3), "skew"),
        (changed(2, 0, 1e-3), "last row"),
        (changed(2, 2, 2), "last row"),
        (changed(0, 2, 1e5), "principal point"),
    ],
)
def test_bad_camera_matrices(K: object, cause: str) -> None:
    with pytest.raises(InputError, match=cause):
        Camera(K, SIZE)  # type: ignore[arg-type]


@pytest.mark.parametrize("focal", [0, -5, float("nan"), float("inf"), 1, "700", True, None, 1e9])
def test_bad_focal_lengths(focal: object) -> None:
    with pytest.raises(InputError, match="focal length"):
        Camera.from_focal(focal, SIZE)  # type: ignore[arg-type]


def test_focal_lengths_are_limited_by_the_picture() -> None:
    """Weak-perspective systems pass 5,000 px on a crop, scaled to large pictures."""
    assert Camera.from_focal(117_187, (4000, 6000)).K[0, 0] == 117_187


@pytest.mark.parametrize(
    "size", ["a", (480,), (480, "640"), (0, 640), (480, float("nan")), 640, (True, True), (480.5, 640), None]
)
def test_bad_image_sizes(size: object) -> None:
    with pytest.raises(InputError, match="image_size"):
        Camera.assumed(size)  # type: ignore[arg-type]


@pytest.mark.parametrize("dist", [[0.1] * 3, [np.nan] * 5, "k1", [1e9, 0, 0, 0]])
def test_bad_distortion(dist: object) -> None:
    with pytest.raises(InputError, match="dist is"):
        Camera(GOOD, SIZE, dist=dist)  # type: ignore[arg-type]


def test_what_is_no_camera() -> None:
    with pytest.raises(InputError, match=r"camera is int; .*from_focal\(1150, \(height, width\)\)"):
        check_camera(1150)
    with pytest.raises(InputError, match="source is 'file'; a camera is given, exif, assumed"):
        Camera.from_focal(500, (480, 640), "file")  # type: ignore[arg-type]


@pytest.mark.parametrize("down", [[0, 0, 0], [1, 0], "down"])
def test_bad_gravity(down: object) -> None:
    with pytest.raises(InputError, match="down is"):
        Camera(GOOD, SIZE, down=down)  # type: ignore[arg-type]


@pytest.mark.parametrize("low", [0, 100, -50])
def test_assumed_picture_holds_the_people(low: float) -> None:
    pose = np.ones((1, 17, 3))
    pose[0, :, :2] = np.linspace(low, low + 300, 17)[:, None]
    assert image_size_around(pose) == ((low + 300 + max(low, 30),) * 2)
    with pytest.raises(InputError, match="at negative pixels, up to .*upper left corner"):
        image_size_around(pose - np.array([1000, 0, 0], np.float32))
