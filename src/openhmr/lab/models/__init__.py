"""The networks. ``from openhmr.lab.models import pose2mesh, i2l_meshnet``; each has ``official(...)``."""
