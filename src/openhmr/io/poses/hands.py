"""The points of a hand in files that detectors of whole bodies write, in FreiHAND's order."""

from typing import Any, Literal

import numpy as np

WHOLE_BODY = 133
LEFT, RIGHT = slice(91, 112), slice(112, 133)
"""The hands among COCO-WholeBody's 133 points."""
_OWN = {
    "left": ("hand_left_keypoints_2d", "lefthand_kpts", "left_hand_landmarks", "leftHandLandmarks"),
    "right": ("hand_right_keypoints_2d", "righthand_kpts", "right_hand_landmarks", "rightHandLandmarks"),
}
"""What OpenPose, COCO-WholeBody and MediaPipe's interfaces call a hand's numbers."""
_BODY = ("pose_keypoints_2d", "keypoints", "pose_landmarks", "poseLandmarks")
"""What each of them calls the body's, in the place of which the hand's are read."""


def of_hand(content: Any, side: Literal["left", "right"]) -> Any:
    """``content`` of a JSON file with the points of one hand in the place of the body's, wherever it has
    such; people without the hand are left out. Files of hands alone come back as they are."""
    if isinstance(content, list):
        return [found for part in content if (found := of_hand(part, side)) is not None]
    if not isinstance(content, dict):
        return content
    for own, body in zip(_OWN[side], _BODY, strict=True):
        if own in content:
            # An empty list, or zeros, stands for a hand that was not seen.
            if not isinstance(content[own], list | np.ndarray) or not len(content[own]):
                return None
            return {k: v for k, v in content.items() if k != body} | {body: content[own]}
        if any(other in content for names in _OWN.values() for other in names) and body in content:
            return None
    points, scores = content.get("keypoints"), content.get("keypoint_scores")
    part = LEFT if side == "left" else RIGHT
    count = len(points) if isinstance(points, list | np.ndarray) else 0
    if count == 3 * WHOLE_BODY:
        return content | {"keypoints": points[3 * part.start : 3 * part.stop]}  # type: ignore[index]
    if count == WHOLE_BODY and isinstance(scores, list | np.ndarray):
        return content | {"keypoints": points[part], "keypoint_scores": scores[part]}  # type: ignore[index]
    # What mmpose tells of its joints is about the whole body.
    return {key: of_hand(value, side) for key, value in content.items() if key != "meta_info"}
