"""Batches by step from several data sets: which samples, in which order, with which random draws.

Everything follows from (seed, epoch, position), so that a resumed run, any number of loading processes and
any number of training processes see the same samples (the original seeds nothing of this).
"""

import logging
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from numpy.random import RandomState, SeedSequence
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader

from openhmr.errors import InputError
from openhmr.lab.device import cores, loading_workers, rank_and_world

log = logging.getLogger(__name__)

Item = Mapping[str, NDArray]
TRIES = 100
"""Samples in a row that may be unreadable before a run with ``skip_bad`` stops too."""


class ItemSet(Protocol):
    """A data set prepared for one network: arrays by name, whose augmentation draws from the two
    generators."""

    def __len__(self) -> int: ...
    def item(self, index: int, rng: RandomState, picker: random.Random) -> Item: ...


class BalancedMix:
    """Pose2Mesh's mixture: each position draws one of the sets, all equally often; an epoch has as many
    positions as the largest set has samples, times the number of sets.

    ``sizes`` are the sets' lengths. A position below a whole multiple of a set's length takes the samples in
    turn, else any. Raises :class:`InputError` for an empty set.
    """

    def __init__(self, sizes: Sequence[int]) -> None:
        _none_empty(sizes)
        self.sizes, self.longest = list(sizes), max(sizes)

    def __len__(self) -> int:
        return self.longest * len(self.sizes)

    def pick(self, position: int, picker: random.Random) -> tuple[int, int]:
        """Set and index of the sample at ``position``."""
        which = picker.randint(0, len(self.sizes) - 1)
        return which, in_turn(position % self.longest, self.sizes[which], self.longest, picker)


class GroupMix:
    """I2L-MeshNet's mixture: ``groups`` of lengths (3D sets, 2D sets), concatenated within a group, and
    equally many samples of each group.

    An epoch of a single group is one pass over it. Raises :class:`InputError` for a group without samples.
    """

    def __init__(self, groups: Sequence[Sequence[int]]) -> None:
        self.groups = [list(g) for g in groups if g]
        _none_empty([sum(g) for g in self.groups])
        self.longest = max(sum(g) for g in self.groups)

    def __len__(self) -> int:
        return self.longest * len(self.groups)

    def pick(self, position: int, picker: random.Random) -> tuple[int, int]:
        """Set (counted over all groups) and index of the sample at ``position``."""
        which, at = divmod(position, self.longest)
        at = in_turn(at, sum(self.groups[which]), self.longest, picker)
        ends = np.cumsum(self.groups[which])
        member = int(np.searchsorted(ends, at, side="right"))
        before = sum(len(g) for g in self.groups[:which])
        return before + member, at - (int(ends[member - 1]) if member else 0)


def _none_empty(sizes: Sequence[int]) -> None:
    if 0 in sizes:
        which = (
            "the training set has"
            if len(sizes) == 1
            else f"of {len(sizes)} training sets, number {list(sizes).index(0) + 1} has"
        )
        raise InputError(f"{which} no samples; look at its files with `openhmr lab data check`")


def in_turn(position: int, size: int, longest: int, picker: random.Random) -> int:
    """``position`` modulo ``size``, but a random index where the last turn would be cut short by
    ``longest``."""
    return position % size if position < size * (longest // size) else picker.randint(0, size - 1)


def seeded(*numbers: int) -> tuple[RandomState, random.Random]:
    """Two independent generators that follow from ``numbers``."""
    a, b = SeedSequence(numbers).generate_state(2)
    return RandomState(a), random.Random(int(b))


class _Positions(torch.utils.data.Dataset[Any]):
    def __init__(
        self, sets: Sequence[ItemSet], mix: BalancedMix | GroupMix, seed: int, skip_bad: bool
    ) -> None:
        self.sets, self.mix, self.seed, self.skip_bad = sets, mix, seed, skip_bad

    def __getitem__(self, at: tuple[int, int]) -> Item | InputError:
        """The item at (epoch, position). An error is handed over, since one raised in a loading process would
        be a traceback."""
        epoch, position = at
        for attempt in range(TRIES if self.skip_bad else 1):
            rng, picker = seeded(self.seed, epoch, position, attempt)
            which, index = self.mix.pick(position, picker)
            if attempt:
                index = picker.randrange(len(self.sets[which]))
            try:
                return self.sets[which].item(index, rng, picker)
            except InputError as reason:
                error = reason
                if self.skip_bad:
                    log.warning("%s; another sample takes its place", reason)
        return error


class Batches:
    """``batches(step)`` -> dict of tensors ``(B, ...)`` on ``device``, float32 (whole numbers int64).

    Of several processes each gets its share of a batch of ``size``. A last batch with fewer than two samples
    a process is left out, since batch normalisation cannot work with it (the original stops there).
    Up to ``workers`` loading processes work ahead (:func:`openhmr.lab.device.loading_workers`). ``waited``
    counts the seconds spent waiting. Raises :class:`InputError` where no batch has two samples a process.
    """

    def __init__(
        self,
        sets: Sequence[ItemSet],
        mix: BalancedMix | GroupMix,
        size: int,
        seed: int,
        *,
        workers: int = 0,
        shuffle: bool = True,
        skip_bad: bool = False,
        device: torch.device | str = "cpu",
    ) -> None:
        self.positions, self.size, self.seed = _Positions(sets, mix, seed, skip_bad), size, seed
        self.shuffle, self.device = shuffle, torch.device(device)
        self.workers = loading_workers(workers, self.device.type, cores())
        self.rank, self.world = rank_and_world()
        least = 2 * self.world
        if min(len(mix), size) < least:
            raise InputError(
                f"there are {len(mix)} training samples in batches of {size}; batch normalisation needs two "
                f"a process, so {least} of "
                "both: give more data or a larger batch"
            )
        whole, rest = divmod(len(mix), size)
        self.per_epoch = whole + (rest >= least)
        self.waited, self._next = 0.0, -1
        self._stream: Iterator[Any] = iter([])
        self._order: tuple[int, NDArray[np.int64]] | None = None

    def __call__(self, step: int) -> dict[str, Tensor]:
        started = time.perf_counter()
        if step != self._next:
            self._stream = iter(self._loader(step))
        self._next = step + 1
        batch = next(self._stream)
        if isinstance(batch, InputError):
            raise batch
        out = {k: v.to(self.device, non_blocking=True) for k, v in batch.items()}
        self.waited += time.perf_counter() - started
        return out

    def _loader(self, step: int) -> DataLoader[Any]:
        return DataLoader(
            self.positions,
            batch_sampler=_Endless(self, step),
            num_workers=self.workers,
            collate_fn=collate,
            pin_memory=self.device.type == "cuda",
            generator=torch.Generator(),
        )

    def places(self, step: int) -> list[tuple[int, int]]:
        """(epoch, position) of this process's samples of a step."""
        epoch, at = divmod(step, self.per_epoch)
        count = len(self.positions.mix)
        order = self._shuffled(epoch, count) if self.shuffle else np.arange(count)
        chosen = order[at * self.size : (at + 1) * self.size]
        return [(epoch, int(p)) for p in chosen[self.rank :: self.world]]

    def _shuffled(self, epoch: int, count: int) -> NDArray[np.int64]:
        if self._order is None or self._order[0] != epoch:
            self._order = epoch, seeded(self.seed, epoch)[0].permutation(count)
        return self._order[1]


class _Endless:
    def __init__(self, batches: Batches, step: int) -> None:
        self.batches, self.step = batches, step

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        step = self.step
        while True:
            yield self.batches.places(step)
            step += 1


def collate(items: Sequence[Item | InputError]) -> dict[str, Tensor] | InputError:
    """Stack items by name; floats become float32."""
    for item in items:
        if isinstance(item, InputError):
            return item
    good = [item for item in items if not isinstance(item, InputError)]
    out = {}
    for name in good[0]:
        stacked = np.stack([np.asarray(item[name]) for item in good])
        out[name] = torch.from_numpy(stacked.astype(np.float32 if stacked.dtype.kind == "f" else np.int64))
    return out
