"""I2L-MeshNet: the official network, and the compact one that ships (``compact.py``)."""

from openhmr.lab.models.i2l_meshnet.network import official

__all__ = ["official"]
