"""Pose2Mesh: the official network, and the compact one that ships (``compact.py``)."""

from openhmr.lab.models.pose2mesh.network import official

__all__ = ["official"]
