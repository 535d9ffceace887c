"""`openhmr lab data check` on whole, damaged and mistaken trees."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from openhmr.bodies.body import Body
from openhmr.cli import main
from openhmr.errors import InputError
from openhmr.joints import MUCO
from openhmr.lab.data import regressors
from openhmr.lab.data.check import check
from openhmr.lab.data.sources import NAMES, files_of
from tests import pose_trees as trees
from tests.conftest import make_tiny_body
from tests.test_data_recorded import MINI
from tests.test_skinning import synthetic_body

BODY = make_tiny_body()
ALL = {"neutral": BODY, "male": BODY, "female": BODY}


def lines(name: str, root: Path, part: str, body: Body = BODY) -> list[str]:
    return [line for line in check(name, root, body, ALL).lines if part in line]


def test_whole_tree(tmp_path: Path) -> None:
    trees.muco(tmp_path, BODY)
    (tmp_path / "data" / "augmented_set").mkdir()
    (tmp_path / "data" / "augmented_set" / "0.jpg").touch()
    # Of person 3, with parameters that are not numbers, Pose2Mesh's reader takes no notice.
    broken, pictures, *legs = lines("MuCo", tmp_path, "PROBLEM")
    assert broken.startswith(
        "PROBLEM  I2L-MeshNet train: 1 of 3 samples are broken, the first: MuCo annotation 3: shape holds"
    )
    assert pictures.startswith("PROBLEM  I2L-MeshNet train: 0 of 2 pictures exist") and pictures.endswith(
        "does not: unpack all pictures"
    )
    # The tiny body's joints lie anywhere.
    assert len(legs) == 2 and all("legs are 0." in line for line in legs)
    assert lines("MuCo", tmp_path, "within") == [
        "ok       I2L-MeshNet train: joints project to their pixels within 0.00 % of the box",
        "ok       Pose2Mesh train: joints project to their pixels within 0.00 % of the box",
    ]
    assert len(lines("MuCo", tmp_path, "fitted bodies lie 0.0 %")) == 2


def test_mistaken_files(tmp_path: Path) -> None:
    trees.muco(tmp_path, BODY)
    path = tmp_path / "data" / "MuCo-3DHP.json"
    original = json.loads(path.read_text())

    def changed(change) -> list[str]:  # type: ignore[no-untyped-def]
        content = json.loads(json.dumps(original))
        for a in content["annotations"]:
            for key in ("keypoints_cam", "keypoints_img"):
                a[key] = change(key, np.array(a[key])).tolist()
        path.write_text(json.dumps(content))
        return [line for line in lines("MuCo", tmp_path, "PROBLEM") if "Pose2Mesh" in line]

    swapped = changed(lambda key, a: a[MUCO.flip_permutation])
    assert any("left and right are exchanged" in line for line in swapped)
    metres = changed(lambda key, a: a / 1000 if key == "keypoints_cam" else a)
    assert any("check the unit" in line for line in metres)
    shifted = changed(lambda key, a: a + 30 if key == "keypoints_img" else a)
    assert any("check the cameras" in line for line in shifted)


@pytest.mark.parametrize("name", ["COCO", "PW3D", "SURREAL", "AMASS", "Human36M"])
def test_every_reader_is_asked(tmp_path: Path, name: str) -> None:
    make = {
        "COCO": lambda: trees.coco(tmp_path, BODY),
        "PW3D": lambda: trees.pw3d(tmp_path),
        "SURREAL": lambda: trees.surreal(tmp_path),
        "AMASS": lambda: trees.amass(tmp_path),
        "Human36M": lambda: trees.human36m(tmp_path, BODY),
    }
    make[name]()
    counts = {"COCO": [2], "PW3D": [3], "SURREAL": [4, 3], "AMASS": [12], "Human36M": [3, 2]}[name]
    found = [
        line.split(": ")[1] for line in lines(name, tmp_path, "Pose2Mesh t") if line.endswith(" samples")
    ]
    assert found == [f"{n} samples" for n in counts]


def test_hands() -> None:
    hand = synthetic_body(True)
    found = check("FreiHAND", MINI / "FreiHAND", hand, {})
    assert any("the original has about 130240" in line for line in found.lines)
    assert any(
        "PROBLEM  data/hrnet_output_on_trainset.json (Pose2Mesh); missing: it comes from" in line
        for line in found.lines
    )


def test_pictures(tmp_path: Path) -> None:
    shutil.copytree(MINI / "MuCo", tmp_path / "MuCo")
    pictures = sorted((tmp_path / "MuCo" / "data" / "augmented_set").iterdir())
    pictures[0].unlink()
    shutil.copy(next((MINI / "FreiHAND" / "data").rglob("*.png")), pictures[1])
    found = lines("MuCo", tmp_path / "MuCo", "PROBLEM", synthetic_body(False))
    assert any("pictures exist" in line and pictures[0].name in line for line in found)
    assert any("another size than annotated" in line and pictures[1].name in line for line in found)


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trees.amass(tmp_path / "AMASS")
    assert main(["lab", "data", "check", "AMASS", str(tmp_path / "AMASS")]) == 0
    assert capsys.readouterr().out.endswith("AMASS: no problems\n")
    BODY.save(tmp_path / "body.npz")
    assert (
        main(["lab", "data", "check", "AMASS", str(tmp_path / "AMASS"), "--body", str(tmp_path / "body.npz")])
        == 0
    )
    assert "Pose2Mesh train: 12 samples" in capsys.readouterr().out
    assert main(["lab", "data", "check", "SURREAL", str(tmp_path / "AMASS")]) == 1
    assert "4 problems" in capsys.readouterr().out
    for name, folder, cause in (("Humans", "", "'Humans' is unknown"), ("AMASS", "nothing", "is no folder")):
        assert main(["lab", "data", "check", name, str(tmp_path / folder)]) == 2
        said = capsys.readouterr().err
        assert cause in said and len(said.splitlines()) == 1


def test_every_data_set_has_files() -> None:
    assert all(files_of(name) for name in NAMES)
    with pytest.raises(InputError, match="known are Human36M"):
        check("Human", ".", None, {})


def test_genders_as_letters(tmp_path: Path) -> None:
    """Some copies write m and f; what they are is not guessed from unknown words."""
    trees.pw3d(tmp_path)
    path = tmp_path / "data" / "3DPW_latest_test.json"
    original = path.read_text()
    path.write_text(original.replace('"male"', '"m"').replace('"female"', '"F"'))
    found = [line for line in check("PW3D", tmp_path, BODY, {}).lines if "Pose2Mesh" in line]
    assert not any("broken" in line for line in found)
    assert any("need the SMPL bodies of the genders female, male; give them too" in line for line in found)
    path.write_text(original.replace('"male"', '"--force"'))
    found = lines("PW3D", tmp_path, "Pose2Mesh")
    assert any("gender is '--force'; neutral, male, female or their first letters" in line for line in found)


def test_another_model_than_was_fitted_is_named(tmp_path: Path) -> None:
    trees.muco(tmp_path, BODY)
    joints = 55
    other = replace(
        BODY,
        posedirs=BODY.posedirs[..., :0],
        J_regressor=BODY.J_regressor[[0] * joints],
        weights=BODY.weights[:, [0] * joints],
        parents=np.arange(joints, dtype=np.int32) - 1,
    )
    found = check("MuCo", tmp_path, other, {}).lines
    assert any(
        "fits have 24 joints, but the body 55; give the model that was fitted" in line for line in found
    )
    with pytest.raises(
        InputError, match="55 joints, so it is another model; SMPL with its 24 joints is needed"
    ):
        regressors.add(other)
