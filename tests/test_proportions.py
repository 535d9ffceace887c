"""The open body's joints lie as far from one another, for its size, as those of real skeletons do."""

import numpy as np
import pytest

from openhmr.bodies import open_body
from openhmr.joints import get_joint_set
from tests.proportions import ALL, OVER_STATURE, Length, Proportions


def rest_joints(name: str) -> dict[str, np.ndarray]:
    """Joints of the mean body in its T-pose, mm, by name; skips a set that the body has no regressor for."""
    body, joint_set = open_body(), get_joint_set(name)
    if not body.has_joint_regressor(joint_set):
        pytest.skip(f"the open body has no regressor {name}")
    return dict(zip(joint_set.names, body.joint_regressor(joint_set) @ body.v_template * 1000, strict=True))


def through(joints: dict[str, np.ndarray], names: tuple[str, ...]) -> float:
    return sum(float(np.linalg.norm(joints[a] - joints[b])) for a, b in zip(names, names[1:], strict=False))


def fault(length: Length, units: tuple[float, ...], mm: float, unit: float) -> str | None:
    """What is wrong with a length of ``mm`` in a body whose unit has ``unit`` mm, or None."""
    published = [a / b for a, b in zip(length.mm, units, strict=True)]
    low, high = min(published) * (1 - length.tolerance), max(published) * (1 + length.tolerance)
    if low <= mm / unit <= high:
        return None
    return f"{' to '.join(length.joints)}: {mm:.0f} mm, allowed {low * unit:.0f} to {high * unit:.0f}"


@pytest.mark.parametrize("real", ALL, ids=lambda p: p.joint_set)
def test_bones_over_the_leg(real: Proportions) -> None:
    joints = rest_joints(real.joint_set)
    unit = through(joints, real.unit.joints)
    faults = [fault(x, real.unit.mm, through(joints, x.joints), unit) for x in real.lengths]
    assert not any(faults), "\n".join(filter(None, faults))


@pytest.mark.parametrize(("name", "length", "stature"), OVER_STATURE, ids=["foot", "pupils"])
def test_lengths_over_stature(name: str, length: Length, stature: tuple[float, ...]) -> None:
    joints = rest_joints(name)
    height = float(np.ptp(open_body().v_template[:, 1])) * 1000
    assert fault(length, stature, through(joints, length.joints), height) is None


@pytest.mark.parametrize("real", ALL, ids=lambda p: p.joint_set)
def test_the_table_itself(real: Proportions) -> None:
    """Both sides are there, every source gives every length, and joints that a table names exist."""
    names = get_joint_set(real.joint_set).names
    for length in (real.unit, *real.lengths):
        assert set(length.joints) <= set(names) and len(length.mm) == len(real.sources)
