"""The presets against the tables of the two papers' code, key by key."""

import pytest

from openhmr.lab.config import PRESETS, build, read_yaml
from openhmr.lab.training.official_configs import I2LConfig, Pose2MeshConfig

BODY, AMASS = ["Human36M", "COCO", "MuCo"], ["Human36M", "COCO", "AMASS"]
# name: train sets, test set, input and target joints, epochs, decay epoch and factor, first epochs without
# edges, flip
TRAIN = {
    "posenet_human36J_train_human36": (
        ["Human36M"],
        "Human36M",
        "human36",
        "human36",
        60,
        30,
        0.5,
        None,
        True,
    ),
    "posenet_cocoJ_train_human36_coco_muco": (BODY, "PW3D", "coco", "coco", 30, 20, 0.1, None, True),
    "posenet_cocoJ_train_human36_coco_amass": (AMASS, "PW3D", "coco", "coco", 30, 20, 0.1, None, True),
    "posenet_smplJ_train_surreal": (["SURREAL"], "SURREAL", "smpl", "smpl", 60, 30, 0.5, None, True),
    "posenet_manoJ_train_freihand": (["FreiHAND"], "FreiHAND", "mano", "mano", 120, 90, 0.1, None, True),
    "pose2mesh_human36J_train_human36": (
        ["Human36M"],
        "Human36M",
        "human36",
        "human36",
        15,
        12,
        0.1,
        7,
        False,
    ),
    "pose2mesh_cocoJ_train_human36_coco_muco": (BODY, "PW3D", "coco", "human36", 15, 12, 0.1, 7, False),
    "pose2mesh_cocoJ_train_human36_coco_amass": (AMASS, "PW3D", "coco", "human36", 15, 10, 0.1, 7, False),
    "pose2mesh_smplJ_train_surreal": (["SURREAL"], "SURREAL", "smpl", "smpl", 15, 12, 0.1, 7, False),
    "pose2mesh_manoJ_train_freihand": (["FreiHAND"], "FreiHAND", "mano", "mano", 40, 30, 0.1, 15, False),
}
TWINS = {"human36J_test_human36": 0, "cocoJ_test_3dpw": 1, "smplJ_test_surreal": 3, "manoJ_test_freihand": 4}


def facts(name: str) -> tuple:
    c = build(Pose2MeshConfig, read_yaml(name))
    d, t = c.DATASET, c.TRAIN
    assert (t.batch_size, t.lr, t.optimizer, t.scheduler, c.AUG.rotate_factor) == (
        64,
        1e-3,
        "rmsprop",
        "step",
        0,
    )
    assert c.MODEL.input_shape == (384, 288) and c.MODEL.name == (
        "posenet" if name.startswith("posenet") else "pose2mesh_net"
    )
    if not c.posenet_only:
        assert (c.MODEL.normal_loss_weight, c.MODEL.edge_loss_weight, c.MODEL.joint_loss_weight) == (
            0.1,
            20,
            1e-3,
        )
    assert d.use_gt_input == ("_gt_" in name) and d.workers == (
        6 if name == "posenet_cocoJ_train_human36_coco_amass" else 16
    )
    edge = None if c.posenet_only else t.edge_loss_start
    joints = d.input_joint_set, d.target_joint_set
    assert len(d.test_list) == len(t.lr_step) == 1
    return (
        list(d.train_list),
        d.test_list[0],
        *joints,
        t.end_epoch,
        t.lr_step[0],
        t.lr_factor,
        edge,
        c.AUG.flip,
    )


@pytest.mark.parametrize("name", TRAIN)
def test_training_presets(name) -> None:
    assert facts(name) == TRAIN[name]
    c = build(Pose2MeshConfig, read_yaml(name))
    expected = (False, "") if c.posenet_only else (True, "runs/" + name.replace("pose2mesh", "posenet"))
    assert (c.MODEL.posenet_pretrained, c.MODEL.posenet_path) == expected


@pytest.mark.parametrize("stage", ["posenet", "pose2mesh"])
@pytest.mark.parametrize("name", TWINS)
def test_test_presets(stage, name) -> None:
    twin = list(TRAIN)[TWINS[name] + (5 if stage == "pose2mesh" else 0)]
    assert facts(f"{stage}_{name}") == TRAIN[twin]
    c = build(Pose2MeshConfig, read_yaml(f"{stage}_{name}"))
    assert c.TEST.weight_path == f"runs/{twin}" and not c.MODEL.posenet_pretrained
    assert c.TEST.batch_size == (128 if (stage, name) == ("pose2mesh", "cocoJ_test_3dpw") else 64)
    assert c.TEST.vis == (stage == "pose2mesh" and name != "cocoJ_test_3dpw")


@pytest.mark.parametrize("stage", ["posenet", "pose2mesh"])
@pytest.mark.parametrize(
    ("name", "twin", "sets"),
    [
        ("human36J_gt_train_human36", "human36J_train_human36", ["Human36M"]),
        ("cocoJ_gt_train_human36_coco", "cocoJ_train_human36_coco_muco", ["Human36M", "COCO"]),
    ],
)
def test_presets_on_true_poses(stage, name, twin, sets) -> None:
    assert facts(f"{stage}_{name}") == (sets, *TRAIN[f"{stage}_{twin}"][1:])


def test_defaults_of_the_original() -> None:
    c = Pose2MeshConfig()
    assert (c.DATASET.train_list, c.DATASET.test_list) == (("Human36M", "COCO", "MuCo"), ("PW3D",))
    assert c.DATASET.use_gt_input and c.DATASET.workers == 16 and c.TRAIN.print_freq == 10
    assert (c.TRAIN.end_epoch, c.TRAIN.edge_loss_start, c.TRAIN.lr_step, c.TEST.batch_size) == (
        40,
        15,
        (30,),
        64,
    )
    i = I2LConfig()
    assert (i.trainset_3d, i.trainset_2d, i.testset, i.resnet_type) == (
        ("Human36M", "MuCo"),
        ("MSCOCO",),
        "PW3D",
        50,
    )
    assert (i.lr, i.lr_dec_epoch, i.lr_dec_factor, i.end_epoch, i.train_batch_size, i.test_batch_size) == (
        1e-4,
        (10, 12),
        10,
        13,
        16,
        16,
    )
    assert (i.normal_loss_weight, i.use_gt_info, i.num_thread) == (0.1, False, 30)


SETS = {
    "human36_coco": (("Human36M",), ("MSCOCO",), "Human36M"),
    "human36_muco_coco": (("Human36M", "MuCo"), ("MSCOCO",), "PW3D"),
    "human36_muco_coco_visualisation": (("Human36M", "MuCo"), ("MSCOCO",), "PW3D"),
    "freihand": (("FreiHAND",), (), "FreiHAND"),
}


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("stage", ["lixel", "param"])
def test_i2l_presets(stage, name) -> None:
    c = build(I2LConfig, read_yaml(f"i2l_{stage}_train_{name}"))
    assert (c.stage, c.trainset_3d, c.trainset_2d, c.testset) == (stage, *SETS[name])
    assert c.dataset_joint_losses == ("visualisation" not in name)
    assert c.continue_from == (f"runs/i2l_lixel_train_{name}" if stage == "param" else "")
    assert (c.resnet_type, c.lr, c.train_batch_size, c.normal_loss_weight) == (50, 1e-4, 16, 0.1)


def test_every_preset_reads() -> None:
    for file in PRESETS.glob("*.yml"):
        data = read_yaml(file)
        if file.name.startswith("i2l"):
            c = build(I2LConfig, data)
            assert c.kind == ("hand" if "freihand" in file.name else "body")
            assert bool(c.weight_path) == ("_test_" in file.name)
        elif file.name.startswith("pose"):
            build(Pose2MeshConfig, data)
