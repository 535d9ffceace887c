"""Reading 2D poses."""

from openhmr.io.pose2d import check_pose2d, read_pose2d
from openhmr.people import Keypoints


def read_poses(path, joint_set, image=None, image_id=None, min_score=0.0):  # type: ignore[no-untyped-def]
    pose = read_pose2d(path, joint_set, image)
    return Keypoints(joint_set, pose.joints, pose.image_size)


__all__ = ["check_pose2d", "read_poses"]
