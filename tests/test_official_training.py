"""The official Pose2Mesh recipe on tiny data: both stages, resuming, and the parts of the loop that it brings
along."""

import dataclasses
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from openhmr.errors import InputError
from openhmr.joints import COCO, HUMAN36
from openhmr.lab.config import build
from openhmr.lab.training.batches import BalancedMix, Batches, GroupMix, seeded
from openhmr.lab.training.official_configs import Pose2MeshConfig
from openhmr.lab.training.official_pose2mesh import Pose2MeshRecipe
from openhmr.lab.training.schedule import EpochPlan
from openhmr.lab.training.trainer import train
from tests.official_items import LiftItems

BASE = {
    "DATASET": {
        "train_list": ["Human36M", "COCO"],
        "input_joint_set": "coco",
        "target_joint_set": "human36",
        "workers": 0,
    },
    "MODEL": {"posenet_hidden": 32},
    "TRAIN": {"batch_size": 6, "end_epoch": 3, "edge_loss_start": 1, "lr_step": [2], "lr": 0.001},
    "TEST": {"batch_size": 4},
}


def config(**changes) -> Pose2MeshConfig:
    return build(Pose2MeshConfig, {k: BASE.get(k, {}) | changes.get(k, {}) for k in BASE | changes})


def work(tiny_body, **changes) -> Pose2MeshRecipe:
    sets = [LiftItems(tiny_body, COCO, HUMAN36, n) for n in (6, 4)]
    return Pose2MeshRecipe(config(**changes), tiny_body, sets, LiftItems(tiny_body, COCO, HUMAN36, 6, seed=1))


STAGE1 = {"MODEL": {"name": "posenet"}, "DATASET": BASE["DATASET"] | {"target_joint_set": "coco"}}


def states_equal(a: torch.nn.Module, b: torch.nn.Module) -> None:
    for (name, x), y in zip(a.state_dict().items(), b.state_dict().values(), strict=True):
        assert torch.equal(x, y), name


def test_both_stages_train_resume_to_the_bit_and_are_saved(tiny_body, tmp_path: Path) -> None:
    first = work(tiny_body, **STAGE1, TRAIN=BASE["TRAIN"] | {"end_epoch": 4, "lr": 0.003})
    train(first, tmp_path / "posenet")
    rows = [json.loads(line) for line in (tmp_path / "posenet" / "metrics.jsonl").read_text().splitlines()]
    assert len(rows) == 4 and rows[-1]["joint"] < rows[0]["joint"] and rows[-1]["lift"] < rows[0]["lift"]
    second = {"MODEL": {"posenet_pretrained": True, "posenet_path": str(tmp_path / "posenet")}}
    whole = work(tiny_body, **second)
    train(whole, tmp_path / "whole")
    cut = work(tiny_body, **second, RUN={"checkpoint_every": 1})
    train(cut, tmp_path / "cut", until=3)  # in the middle of the second epoch
    again = work(tiny_body, **second, RUN={"checkpoint_every": 1})
    train(again, tmp_path / "cut")
    states_equal(whole.network, again.network)
    names = {p.name for p in (tmp_path / "cut").iterdir()}
    assert {"state.safetensors", "last.safetensors", "final.safetensors", "samples"} <= names
    assert {p.name for p in (tmp_path / "cut" / "samples").iterdir()} >= {"epoch-003.png", "epoch-003.obj"}
    rows = [json.loads(line) for line in (tmp_path / "whole" / "metrics.jsonl").read_text().splitlines()]
    assert [("edge" in row, row["epoch"]) for row in rows] == [(False, 1), (True, 2), (True, 3)]
    loaded = work(tiny_body)
    loaded.load(tmp_path / "whole")
    states_equal(whole.network, loaded.network)


def test_stage2_starts_from_stage1(tiny_body, tmp_path: Path) -> None:
    first = work(tiny_body, **STAGE1)
    first.save(tmp_path / "final.safetensors")
    second = work(tiny_body)
    second.start_from_posenet(tmp_path)
    states_equal(first.network, second.network.pose_lifter)
    with pytest.raises(InputError, match="needs a posenet for human36"):
        other = Pose2MeshRecipe(
            config(DATASET=BASE["DATASET"] | {"input_joint_set": "human36"}), tiny_body, [], None
        )
        other.start_from_posenet(tmp_path)
    with pytest.raises(InputError, match="holds none of"):
        second.start_from_posenet(tmp_path / "..")
    with pytest.raises(InputError, match="does not exist"):
        second.load(tmp_path / "nowhere")


def test_stage2_trains_in_half_precision(tiny_body, tmp_path: Path) -> None:
    """PoseNet alone takes part: the graph's products need single precision."""
    losses = {}
    for precision in ("float32", "bf16"):
        run = work(tiny_body, TRAIN=BASE["TRAIN"] | {"end_epoch": 1}, RUN={"precision": precision})
        train(run, tmp_path / precision)
        losses[precision] = json.loads((tmp_path / precision / "metrics.jsonl").read_text())
    for name in ("vertex", "normal", "joint", "lift"):
        assert losses["bf16"][name] == pytest.approx(losses["float32"][name], rel=0.05), name
    assert losses["bf16"]["lift"] != losses["float32"]["lift"]


def test_error_of_an_epoch_is_the_mean_of_batches_or_of_samples(tiny_body) -> None:
    """Six samples in batches of four: the last two weigh as much as the first four, unless the switch says
    otherwise."""
    found = {}
    for switch in (True, False):
        run = work(tiny_body, QUIRKS={"mean_of_batches": switch}, TEST={"batch_size": 4})
        found[switch] = run.errors()
        each = work(tiny_body, TEST={"batch_size": 1})
        each.network.load_state_dict(run.network.state_dict())
        items = [[item["mesh"] for item in items] for items, *_ in run.predictions(4)]
        assert [len(i) for i in items] == [4, 2]
    single = [work_errors(each, i) for i in range(6)]
    for name in ("joint", "surface"):
        rows = np.array([s[name] for s in single])
        assert found[False][name] == pytest.approx(rows.mean(), rel=1e-5)
        assert found[True][name] == pytest.approx((rows[:4].mean() + rows[4:].mean()) / 2, rel=1e-5)
        assert found[True][name] != pytest.approx(found[False][name], rel=1e-5)


def work_errors(run: Pose2MeshRecipe, index: int) -> dict[str, float]:
    """The errors on one test sample."""
    whole = run.test

    class One:
        def __len__(self) -> int:
            return 1

        def item(self, _, rng, picker):
            return whole.item(index, *seeded(0, index))

    run.test = One()
    try:
        return run.errors()
    finally:
        run.test = whole


def test_schedule_of_the_official_epochs() -> None:
    plan = EpochPlan(15, 2, 1e-3, (12,), 0.1, "rmsprop")
    rates = [plan.lr_at(step) for step in range(0, plan.steps, 2)]
    assert plan.steps == 30 and rates == pytest.approx([1e-3] * 12 + [1e-4] * 3)
    network = torch.nn.Linear(1, 1)
    optimizer = torch.optim.RMSprop(network.parameters(), 1e-3)
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, [12], 0.1)
    for rate in rates:
        assert rate == pytest.approx(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    assert dataclasses.asdict(plan)["optimiser"] == "rmsprop"


def test_balanced_mixture() -> None:
    """Sets of 7, 3 and 2: each is drawn evenly, and short sets are gone through in turn as often as they fit
    whole."""
    mix = BalancedMix([7, 3, 2])
    assert len(mix) == 21
    drawn = Counter()
    for seed in range(300):
        for position in range(len(mix)):
            which, index = mix.pick(position, seeded(seed, position)[1])
            drawn[which, index] += 1
            at = position % 7
            if at < mix.sizes[which] * (7 // mix.sizes[which]):
                assert index == at % mix.sizes[which]
            else:
                assert 0 <= index < mix.sizes[which]
    shares = [sum(n for (w, _), n in drawn.items() if w == which) / drawn.total() for which in range(3)]
    assert shares == pytest.approx([1 / 3] * 3, abs=0.02)


def test_group_mixture_equals_the_recorded_one(data) -> None:
    for key, expected in json.loads((data / "i2l" / "schedule.json").read_text())[
        "multiple_datasets"
    ].items():
        mix = GroupMix(json.loads(key))
        names = [
            f"{kind}{i}"
            for kind, group in zip(("3d", "2d"), json.loads(key), strict=True)
            for i in range(len(group))
        ]
        assert len(mix) == expected["len"]
        for position, item in enumerate(expected["items"]):
            which, index = mix.pick(position, seeded(position)[1])
            assert item == "random" or [names[which], str(index)] == item
    single = GroupMix([[3, 2], []])
    assert [single.pick(p, seeded(p)[1]) for p in range(len(single))] == [
        (0, 0),
        (0, 1),
        (0, 2),
        (1, 0),
        (1, 1),
    ]


class Numbers:
    def __init__(self, count: int, bad: tuple[int, ...] = ()) -> None:
        self.count, self.bad = count, bad

    def __len__(self) -> int:
        return self.count

    def item(self, index, rng, picker):
        if index in self.bad:
            raise InputError(f"sample {index} is damaged; repair it")
        return {"index": np.int64(index), "draw": np.float64(rng.uniform())}


def test_batches_do_not_depend_on_workers_or_on_where_they_start() -> None:
    sets = [Numbers(10)]
    batches = Batches(sets, BalancedMix([10]), 4, seed=3)
    assert batches.per_epoch == 3
    steps = [batches(step) for step in range(7)]
    first_epoch = torch.cat([b["index"] for b in steps[:3]])
    assert sorted(first_epoch.tolist()) == list(range(10)) and first_epoch.tolist() != list(range(10))
    assert (
        steps[3]["index"].tolist() != steps[0]["index"].tolist() and steps[0]["draw"].dtype == torch.float32
    )
    late = Batches(sets, BalancedMix([10]), 4, seed=3, workers=1)
    for step in (4, 5, 6):
        assert all(torch.equal(v, steps[step][k]) for k, v in late(step).items())
    assert Batches(sets, BalancedMix([9]), 4, seed=3).per_epoch == 2  # one sample left over
    plain = Batches(sets, BalancedMix([10]), 4, seed=3, shuffle=False)
    assert plain(0)["index"].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("workers", [0, 1])
def test_a_bad_sample_stops_a_run_or_is_skipped_on_request(workers, caplog) -> None:
    sets = [Numbers(6, bad=(2,))]
    with pytest.raises(InputError, match="sample 2 is damaged"):
        Batches(sets, BalancedMix([6]), 6, seed=0, workers=workers)(0)
    batch = Batches(sets, BalancedMix([6]), 6, seed=0, skip_bad=True)(0)
    assert len(batch["index"]) == 6 and 2 not in batch["index"] and "sample 2 is damaged" in caplog.text
    with pytest.raises(InputError, match="sample [01] is damaged"):
        Batches([Numbers(2, bad=(0, 1))], BalancedMix([2]), 2, seed=0, skip_bad=True)(0)


@pytest.mark.parametrize(("count", "size"), [(1, 4), (4, 1)])
def test_batches_of_less_than_two_are_refused(count: int, size: int) -> None:
    with pytest.raises(InputError, match="batch normalisation needs two"):
        Batches([Numbers(count)], BalancedMix([count]), size, seed=0)
    assert Batches([Numbers(5)], BalancedMix([5]), 2, seed=0).per_epoch == 2  # the fifth is left out


def test_empty_sets_are_refused() -> None:
    with pytest.raises(InputError, match="of 2 training sets, number 2 has no samples"):
        BalancedMix([3, 0])
    with pytest.raises(InputError, match="the training set has no samples"):
        GroupMix([[0], []])
    assert len(GroupMix([[3, 0], [2]])) == 6
