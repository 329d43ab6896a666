"""Two workers that sum their gradients train as one with both their windows does. Here they are threads; `tests/benchmarks/workers.py` has Ray Train start processes."""

import threading

import pytest
import torch

from sociallm import checkpoint
from sociallm.batches import encode_conversation
from sociallm.lanes import steps
from sociallm.layout import SociaLLMConfig
from sociallm.model import build
from sociallm.train import train
from sociallm.training import TrainConfig
from sociallm.workers import Job, dealt, together, train_together
from tests.sociallm.small import conversation

CONFIG = TrainConfig(tokens=600, batch_tokens=160, lanes=2, save_every=2, report_every=2, threads=1, device="cpu", learning_rate=1e-3)


class Group:
    """A sum over threads that wait for one another, as `all_reduce` does over processes; ranks are added in order."""

    def __init__(self, workers):
        self.barrier, self.parts, self.rank = threading.Barrier(workers), {}, threading.local()

    def share(self, value):
        self.parts[self.rank.value] = value.clone()
        self.barrier.wait()
        value.copy_(sum(self.parts[r] for r in sorted(self.parts)))
        self.barrier.wait()
        return value


def trained(job):
    """The states of all workers of a job, each in a thread."""
    group, found = Group(job.workers), {}

    def one(rank):
        group.rank.value = rank
        found[rank] = together(job, rank, group.share, group.barrier.wait)

    threads = [threading.Thread(target=one, args=(rank,)) for rank in range(job.workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def sets_of(tokenizer, count=12):
    return [([encode_conversation(conversation(i, 16), tokenizer) for i in range(count)], 1.0)]


def plain(folder, tokenizer):
    """A checkpoint without social blocks: nothing is forgotten or listened to at random, so that one batch can equal two."""
    config = SociaLLMConfig(
        vocabulary=tokenizer.vocabulary, width=16, layers=2, local_heads=2, local_head_width=8, local_state=8, social_heads=3, social_head_width=4,
        social_state=8, social_every=0, local_chunk=8, social_chunk=4,
    )  # fmt: skip
    checkpoint.save(folder, build(config, torch.Generator().manual_seed(3)), tokenizer, {})
    return str(folder)


def job_of(folder, start, tokenizer, config=CONFIG):
    return Job(folder=str(folder), name="job", sets=sets_of(tokenizer), start=start, config=config, workers=2, notes={})


def weights(state):
    return torch.cat([p.detach().flatten() for p in state.model.parameters()])


def test_two_workers_give_the_weights_of_one_with_both_their_windows(tmp_path, tokenizer):
    start = plain(tmp_path / "start", tokenizer)
    both = trained(job_of(tmp_path / "two", start, tokenizer))
    begun = checkpoint.load(start)
    alone = train(tmp_path / "one", sets_of(tokenizer), {}, tokenizer, begun.model.config, CONFIG, lambda _: None, begun.model)
    one, before = torch.cat([p.detach().flatten() for p in alone.parameters()]), torch.cat([p.flatten() for p in checkpoint.load(start).model.parameters()])
    assert torch.equal(weights(both[0]), weights(both[1])) and both[0].step > 3
    moved = (one - before).norm()
    assert (weights(both[0]) - one).norm() < 1e-3 * moved


def test_killed_between_two_steps_the_workers_go_on_to_the_same_weights(tmp_path, tokenizer, loaded):
    checkpoint.save(tmp_path / "start", loaded.model, tokenizer, {})
    whole = trained(job_of(tmp_path / "whole", str(tmp_path / "start"), tokenizer))
    short = job_of(tmp_path / "short", str(tmp_path / "start"), tokenizer, CONFIG)

    class Cut(Exception):
        """As a kill: nothing after it is done."""

    group, found = Group(2), []

    def one(rank):
        group.rank.value = rank
        count = [0]

        def share(value):
            count[0] += 1
            if count[0] > 3 * 2:  # counts, gradients and losses of two steps
                raise Cut
            return group.share(value)

        try:
            together(short, rank, share, group.barrier.wait)
        except Cut:
            found.append(rank)

    threads = [threading.Thread(target=one, args=(rank,)) for rank in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [0, 1] and (tmp_path / "short" / "workers" / "latest").read_text() == "step-2"
    assert torch.equal(weights(trained(short)[0]), weights(whole[0]))


def test_a_showing_stays_with_one_worker_and_nobody_shares_one(tokenizer):
    whose = {}
    for _, pieces in zip(range(12), steps(sets_of(tokenizer), 0, 2, 80, 128)):
        parts = [dealt(pieces, 2, rank) for rank in range(2)]
        assert sorted(map(id, parts[0] + parts[1])) == sorted(map(id, pieces))
        for rank, part in enumerate(parts):
            assert all(whose.setdefault(piece.showing.number, rank) == rank for piece in part)


def test_more_workers_than_lanes_are_refused(tmp_path, tokenizer):
    with pytest.raises(ValueError, match="train.lanes is 2 for 3 workers; expected one lane for each"):
        train_together(tmp_path, sets_of(tokenizer), "base", CONFIG, 3)
