"""Landmarks of MediaPipe as JSON: 33 of ``{"x", "y", "z", "visibility"}`` a person, or 21 a hand, shares of
the picture or pixels; TensorFlow.js writes keypoints so, too."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openhmr.errors import InputError
from openhmr.io.poses.contents import Contents, Person
from openhmr.io.poses.skeletons import by_count
from openhmr.joints import MANO, JointSet

Hands = dict[str, NDArray[np.float64]]
Landmarks = tuple[NDArray[np.float64], str | None, Hands]
_KEYS = ("pose_landmarks", "poseLandmarks", "landmarks", "landmark", "keypoints")
"""What the interfaces in Python and JavaScript, and messages written as JSON, call the landmarks."""
_RESULTS = {*_KEYS} - {"landmark", "keypoints"}
"""Keys of a detector's result for one picture; messages and TensorFlow.js have those of one person."""
_HANDS = {
    "left_hand": ("left_hand_landmarks", "leftHandLandmarks"),
    "right_hand": ("right_hand_landmarks", "rightHandLandmarks"),
}
"""Those of hands, beside those of the body that they belong to."""
_FRAMES = ("frames", "results")
_FRAME = ("image_id", "image", "file_name", "frame", "frame_id", "frame_index", "timestamp_ms")
_SEEN = ("visibility", "score", "presence")


def is_mediapipe(content: Any) -> bool:
    """A list of landmarks, of lists of them, of objects that hold them, or such an object."""
    if isinstance(content, dict):
        return any(_is_people(content.get(key)) for key in _KEYS) or any(
            isinstance(content.get(key), list) and any(map(is_mediapipe, content[key])) for key in _FRAMES
        )
    if not isinstance(content, list):
        return False
    return _is_people(content) or any(isinstance(r, dict) and _holds(r) for r in content)


def read_mediapipe(content: Any, asked: JointSet | None, path: Path) -> Contents:
    """Everybody in a file; landmarks in metres of the world are not taken. Raises :class:`InputError`."""
    content = _numbered(content)
    people = [
        Person(by_count(len(points), asked, path), points, frame, hands=hands)
        for points, frame, hands in _people(content, None, path)
    ]
    size = (content.get("width"), content.get("height")) if isinstance(content, dict) else (None, None)
    if isinstance(content, dict) and isinstance(content.get("image_size"), list):
        known = content["image_size"]
        size = (known[1], known[0]) if len(known) == 2 else (known, known)
    return Contents(
        people,
        sizes={p.picture: size for p in people},
        times=_times(content),
        pictures=[str(own) for record in _list(content) if (own := _id(record)) is not None],
    )


def _list(content: Any) -> list[Any]:
    """The results of several frames, or of several people."""
    if isinstance(content, dict):
        content = next((content[key] for key in _FRAMES if isinstance(content.get(key), list)), [])
    return [r for r in content if isinstance(r, dict)]


def _id(record: dict[str, Any]) -> Any:
    return next((record[key] for key in _FRAME if record.get(key) is not None), None)


def _times(content: Any) -> dict[str, float]:
    """Seconds of the frames that are named by them."""
    stamps = {str(_id(r)): r.get("timestamp_ms") for r in _list(content)}
    return {i: ms / 1000 for i, ms in stamps.items() if type(ms) in (int, float) and abs(ms) < 1e12}


def _numbered(content: Any) -> Any:
    """``content`` with the numbers of frames where only their order tells them: lists of a detector's
    results, or of lists of people."""
    key = next((k for k in _FRAMES if isinstance(content, dict) and isinstance(content.get(k), list)), None)
    inner = content if key is None else content[key]
    if not isinstance(inner, list) or len(inner) < 2:
        return content
    results = all(isinstance(r, dict) and _id(r) is None and not _RESULTS.isdisjoint(r) for r in inner)
    nested = all(isinstance(r, list) and all(isinstance(p, list) for p in r) for r in inner)
    if results:
        numbered: Any = [r | {"frame": i} for i, r in enumerate(inner)]
    elif nested:
        numbered = [{"landmarks": r, "frame": i} for i, r in enumerate(inner)]
    else:
        return content
    return numbered if key is None else content | {key: numbered}


def _is_landmark(value: Any) -> bool:
    return isinstance(value, dict) and "x" in value and "y" in value


def _is_people(value: Any) -> bool:
    """One person's landmarks, or a list of several people's."""
    if isinstance(value, dict):
        return _is_people(value.get("landmark"))
    if not isinstance(value, list) or not value:
        return False
    return _is_landmark(value[0]) or (isinstance(value[0], list) and _is_people(value[0]))


def _holds(record: dict[str, Any]) -> bool:
    return any(_is_people(record.get(key)) for key in _KEYS)


def _people(content: Any, frame: str | None, path: Path, hands: Hands | None = None) -> Iterator[Landmarks]:
    """Landmarks ``(K,3)`` of each person, with the id of the frame and the hands."""
    if isinstance(content, dict):
        own = _id(content)
        own = frame if own is None else own
        keys = (key for key in (*_KEYS, *_FRAMES) if isinstance(content.get(key), list | dict))
        inner: Any = next((content[key] for key in keys), None)
        if inner is not None or _RESULTS.isdisjoint(content):  # null where nobody was found
            yield from _people(inner, None if own is None else str(own), path, _hands(content, path))
    elif isinstance(content, list) and content and all(map(_is_landmark, content)):
        yield _landmarks(content, path), frame, hands or {}
    elif isinstance(content, list) and all(isinstance(c, dict | list) for c in content):
        for part in content:
            yield from _people(part, frame, path)
    else:
        raise InputError(f"{path} mixes landmarks with something else; give 33 of them for each person")


def _hands(record: dict[str, Any], path: Path) -> Hands:
    found = ((part, record.get(key)) for part, keys in _HANDS.items() for key in keys)
    return {
        part: _landmarks(marks, path)
        for part, marks in found
        if isinstance(marks, list) and len(marks) == MANO.size and all(map(_is_landmark, marks))
    }


def _landmarks(landmarks: list[dict[str, Any]], path: Path) -> NDArray[np.float64]:
    seen = next((key for key in _SEEN if key in landmarks[0]), None)
    rows = [(mark["x"], mark["y"], 1 if seen is None else mark.get(seen, 0)) for mark in landmarks]
    try:
        return np.array(rows, np.float64)
    except (ValueError, TypeError, OverflowError):
        raise InputError(f"{path} has landmarks that are no numbers; write x, y and visibility") from None
