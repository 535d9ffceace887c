"""Which test covers which part of the two originals. ``make parity`` writes docs/parity.md from it.

A row names tests as ``file::test`` (files without ``test_`` and ``.py``), or says why there is none.
"""

import ast
from pathlib import Path

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "parity.md"
NOT_DONE = "not done: "

Rows = list[tuple[str, str]]

P2M_CONFIGS = "official_configs::test_training_presets"
P2M_TESTS = "official_configs::test_test_presets"

TABLES: dict[str, Rows] = {
    "Pose2Mesh: inputs and graph": [
        (
            "boxes, crop, standardisation",
            "crop::test_boxes_are_the_originals_to_the_bit "
            "crop::test_normalisation_is_the_originals_to_the_bit",
        ),
        ("truncation of whole-numbered poses", "crop::test_integer_poses_are_truncated"),
        (
            "joint sets, flip pairs, joint graph",
            "joints::test_published_flip_pairs graphs::test_matrices_are_the_official_ones",
        ),
        (
            "coarsening, permutations, Laplacians",
            "graphs::test_node_order_is_the_official_one graphs::test_matrices_are_the_official_ones",
        ),
        (
            "12,288 / 96 and 1,088 / 68 nodes on SMPL's and MANO's own faces",
            NOT_DONE + "the faces are licensed; stand-in meshes are compared",
        ),
        (
            "synthetic errors of human36 and COCO joints",
            "noise::test_human36_error_repeats_the_originals_draws "
            "noise::test_synthesize_pose_repeats_the_originals_draws",
        ),
        (
            "SMPL and MANO layers",
            "skinning::test_smpl_layer skinning::test_mano_layer "
            "skinning::test_body_in_the_camera_of_human36m",
        ),
    ],
    "Pose2Mesh: networks and losses": [
        (
            "PoseNet and MeshNet, four joint sets and meshes",
            "pose2mesh::test_recorded_outputs pose2mesh::test_state_dict_is_the_official_one",
        ),
        ("losses", "losses::test_recorded_values_and_gradients losses::test_recorded_joint_loss"),
        ("a training step", "pose2mesh::test_recorded_training_step"),
    ],
    "Pose2Mesh: data sets": [
        ("Human36M", "data_pose2mesh::test_human36m data_pose2mesh::test_human36m_detections"),
        ("MuCo", "data_pose2mesh::test_muco data_pose2mesh::test_recorded_fit_errors"),
        ("COCO", "data_pose2mesh::test_coco data_pose2mesh::test_recorded_fit_errors"),
        ("AMASS", "data_pose2mesh::test_amass data_pose2mesh::test_amass_folders"),
        ("PW3D", "data_pose2mesh::test_pw3d"),
        ("SURREAL", "data_pose2mesh::test_surreal"),
        ("FreiHAND", "data_pose2mesh::test_freihand"),
        ("Human36M protocol 1 (in the code, used by no config)", NOT_DONE + "no published number needs it"),
        (
            "flips, turns, order of draws",
            "data_pose2mesh_draws::test_noise_and_flip_follow_the_official_draws "
            "data_pose2mesh_draws::test_turn",
        ),
        ("mixture of sets", "official_training::test_balanced_mixture"),
    ],
    "Pose2Mesh: configs": [
        *(
            (name, P2M_CONFIGS)
            for name in (
                "posenet_human36J_train_human36",
                "posenet_cocoJ_train_human36_coco_muco",
                "posenet_cocoJ_train_human36_coco_amass",
                "posenet_smplJ_train_surreal",
                "posenet_manoJ_train_freihand",
                "pose2mesh_human36J_train_human36",
                "pose2mesh_cocoJ_train_human36_coco_muco",
                "pose2mesh_cocoJ_train_human36_coco_amass",
                "pose2mesh_smplJ_train_surreal",
                "pose2mesh_manoJ_train_freihand",
            )
        ),
        ("test twins (human36, 3dpw, surreal, freihand; both stages)", P2M_TESTS),
        ("variants on true 2D poses (_gt_)", "official_configs::test_presets_on_true_poses"),
        (
            "defaults, unknown keys",
            "official_configs::test_defaults_of_the_original "
            "official_cli::test_wrong_commands_say_what_to_do",
        ),
        (
            "epochs, decay, first epoch of the edge loss",
            "official_training::test_schedule_of_the_official_epochs "
            "official_training::test_both_stages_train_resume_to_the_bit_and_are_saved",
        ),
    ],
    "Pose2Mesh: metrics": [
        ("Human36M page, per action", "official_reports::test_reports_are_the_originals_pages"),
        (
            "3DPW page; PA-MPVPE (a switch prints the true one)",
            "official_reports::test_reports_are_the_originals_pages "
            "official_reports::test_sane_switches_and_files",
        ),
        ("SURREAL page", "official_reports::test_reports_are_the_originals_pages"),
        ("stage 1 pages of Human36M and 3DPW", "official_reports::test_reports_are_the_originals_pages"),
        (
            "stage 1 page of SURREAL",
            NOT_DONE + "its exact lines are not known; the errors are printed as `MPJPE: ... mm`",
        ),
        (
            "errors after an epoch",
            "metrics::test_surface_error_depends_on_the_root "
            "official_cli::test_pose2mesh_from_files_to_files",
        ),
        ("Procrustes", "metrics::test_procrustes_never_reflects metrics::test_pose_metrics"),
        (
            "acceleration error, one-euro filter",
            "metrics::test_acceleration_error metrics::test_one_euro "
            "official_reports::test_videos_are_smoothed_one_by_one",
        ),
        (
            "FreiHAND pred.json and scores",
            "official_reports::test_freihand_scores official_cli::test_hands_from_files_to_files",
        ),
    ],
    "Pose2Mesh: checkpoints": [
        ("checkpoint, best, final .pth.tar, with and without module.", "checkpoint::test_official_import"),
        (
            "released folders posenet_*, pose2mesh_* and their _gt_ variants, by their names in the configs",
            "official_configs::test_test_presets official_configs::test_presets_on_true_poses",
        ),
        (
            "another graph or joint set is refused",
            "checkpoint::test_official_import_refuses_another_graph_or_joint_set",
        ),
        ("hostile files are refused", "checkpoint::test_hostile_and_foreign_official_files_are_refused"),
        ("export to the official format and back", "official_cli::test_pose2mesh_from_files_to_files"),
        ("a released checkpoint on the licensed body", NOT_DONE + "needs SMPL"),
        ("stage 2 starts from stage 1", "official_training::test_stage2_starts_from_stage1"),
    ],
    "I2L-MeshNet: network and losses": [
        ("backbones 18 to 152", "i2l_parts::test_backbones"),
        (
            "forward, body and hand, both stages",
            "i2l_meshnet::test_recorded_forward_at_gain_1_2 i2l_meshnet::test_recorded_forward_at_gain_0_5",
        ),
        ("state_dict", "i2l_meshnet::test_state_dict_keys_and_shapes"),
        ("losses", "i2l_parts::test_recorded_losses"),
        (
            "training steps",
            "i2l_parts::test_recorded_head_step i2l_parts::test_recorded_regressor_step "
            "i2l_meshnet::test_recorded_lixel_step "
            "i2l_meshnet::test_recorded_param_step",
        ),
        (
            "moving batch statistics in the param stage, and the switch",
            "official_i2l::test_both_stages i2l_meshnet::test_frozen_statistics_stay",
        ),
    ],
    "I2L-MeshNet: data sets": [
        ("Human36M", "data_recorded::test_human36m"),
        ("MuCo", "data_recorded::test_muco"),
        ("MSCOCO", "data_recorded::test_mscoco"),
        ("PW3D", "data_recorded::test_pw3d"),
        ("FreiHAND", "data_recorded::test_freihand"),
        (
            "SURREAL (a conversion tool, no loader)",
            NOT_DONE + "the converted files are read by Pose2Mesh's reader",
        ),
        ("boxes, affine maps, patches", "data_transforms::test_boxes data_transforms::test_patches"),
        ("augmentation draws", "data_transforms::test_draws"),
        ("mixture of sets", "official_training::test_group_mixture_equals_the_recorded_one"),
    ],
    "I2L-MeshNet: configs": [
        ("defaults", "official_configs::test_defaults_of_the_original"),
        ("lixel and param, four training settings", "official_configs::test_i2l_presets"),
        ("test settings", "official_configs::test_every_preset_reads"),
        ("learning rates, body and hand, both stages", "official_i2l::test_recorded_schedule"),
        (
            "--continue",
            "official_i2l::test_both_stages "
            "official_i2l::test_a_param_stage_without_a_lixel_stage_is_refused",
        ),
    ],
    "I2L-MeshNet: metrics": [
        ("Human36M and 3DPW, lixel and param", "data_evaluation::test_errors_of_bodies"),
        (
            "printed lines, nan in the lixel stage",
            "official_reports::test_i2l_lines data_evaluation::test_errors_of_bodies",
        ),
        ("MSCOCO (nothing)", "data_evaluation::test_coco_has_no_errors"),
        ("FreiHAND pred.json, both stages", "data_evaluation::test_hands"),
    ],
    "I2L-MeshNet: checkpoints": [
        ("snapshot_N.pth.tar", "i2l_files::test_official_import"),
        (
            "export to the official format and back",
            "official_cli::test_i2l_meshnet_from_files_to_files official_i2l::test_both_stages",
        ),
        ("a released snapshot on the licensed body", NOT_DONE + "needs SMPL"),
    ],
    "Both: training": [
        (
            "resuming equals an uninterrupted run to the bit",
            "official_training::test_both_stages_train_resume_to_the_bit_and_are_saved "
            "official_i2l::test_both_stages",
        ),
        ("several processes under torchrun", "official_loop::test_two_processes_take_the_steps_of_one"),
        (
            "bf16 and fp16",
            "official_loop::test_autocast_stays_near_float32_and_resumes "
            "official_training::test_stage2_trains_in_half_precision",
        ),
        ("gradient clipping", "official_loop::test_clipping_bounds_the_gradient"),
        ("torch.compile", "official_loop::test_compiled_network_learns_the_same"),
        ("TensorBoard", "official_loop::test_event_files"),
        (
            "a damaged sample is named, and skipped only on request",
            "official_training::test_a_bad_sample_stops_a_run_or_is_skipped_on_request "
            "official_errors::test_a_bad_sample_is_skipped_if_asked_to "
            "official_errors::test_a_missing_picture_is_named_and_skipped_if_asked_to",
        ),
        (
            "damaged files, regressors of another mesh, too few samples: one sentence",
            "official_errors::test_damaged_files official_errors::test_a_regressor_of_another_mesh "
            "official_errors::test_too_few_samples",
        ),
        (
            "a last batch of one (the original stops)",
            "official_training::test_batches_of_less_than_two_are_refused",
        ),
        (
            "switches of the quirks",
            "data_quirks::test_pages_name_every_switch data_quirks::test_every_switch_is_set_by_a_test",
        ),
        (
            "training, test, resuming, ONNX and a result, from files",
            "official_cli::test_pose2mesh_from_files_to_files "
            "official_cli::test_i2l_meshnet_from_files_to_files "
            "official_cli::test_hands_from_files_to_files data_configs::test_config",
        ),
        (
            "ONNX equals the network",
            "official_export::test_pose2mesh_lifts official_export::test_i2l_recovers",
        ),
        ("several GPUs, several machines", NOT_DONE + "run on a CPU with gloo only"),
    ],
}


def known_tests() -> set[str]:
    """Every test as ``file::test``."""
    found = set()
    for path in HERE.glob("test_*.py"):
        names = [
            n.name
            for n in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(n, ast.FunctionDef) and n.name.startswith("test_")
        ]
        found |= {f"{path.stem.removeprefix('test_')}::{name}" for name in names}
    return found


def page() -> str:
    """The page's text."""
    rows = [cover for table in TABLES.values() for _, cover in table]
    done = sum(not cover.startswith(NOT_DONE) for cover in rows)
    lines = ["# Parity with the originals", ""]
    lines += [
        f"{done} of {len(rows)} parts of the two systems are covered by tests, against recordings of the "
        "originals or their published tables. `make parity` writes this page; a test checks that it is "
        "current and that the tests exist."
    ]
    for title, table in TABLES.items():
        lines += ["", f"## {title}", "", "| what | test |", "|---|---|"]
        for what, cover in table:
            tests = ", ".join(f"`test_{name}`" for name in cover.split())
            lines.append(f"| {what} | {f'**{cover}**' if cover.startswith(NOT_DONE) else tests} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
