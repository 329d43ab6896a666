"""Random streams: made from their names alone."""

import copy
import hashlib
import itertools
import subprocess
import sys

import numpy as np

from sandbox.chance import Digest, draws, stream


def test_a_stream_is_the_same_in_every_process_whatever_pythons_hash_seed():
    program = "from sandbox.chance import stream; print(stream(7, 'Zoë', 'policy', 3).integers(2**62, size=4).tolist())"
    said = {
        subprocess.run([sys.executable, "-c", program], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True).stdout
        for seed in ("0", "1")
    }
    assert said == {f"{stream(7, 'Zoë', 'policy', 3).integers(2**62, size=4).tolist()}\n"}


def test_streams_with_different_names_differ():
    names = list(itertools.product((1, 2, 12), ("A", "B", "1"), ("policy", "schedule"), (0, 1, 11)))
    firsts = {int(stream(*name).integers(2**62)) for name in names}
    assert len(firsts) == len(names) == 54


def test_streams_of_neighbouring_steps_are_uncorrelated():
    draws = np.array([stream(1, "A", "policy", step).standard_normal(200) for step in range(50)])
    between = np.corrcoef(draws)[np.triu_indices(50, 1)]
    assert abs(between.mean()) < 4 / (200 * between.size) ** 0.5  # four standard errors of a mean of null correlations


def test_the_words_of_a_digest_are_its_bytes():
    digest = bytes(range(32))
    words = [int.from_bytes(digest[i : i + 8], "little") for i in (0, 8, 16, 24)]
    assert Digest(digest).generate_state(4, np.uint64).tolist() == words
    first = np.random.PCG64(Digest(digest)).state["state"]
    assert first != np.random.PCG64(Digest(digest[::-1])).state["state"]
    assert first["inc"] == ((words[2] << 64 | words[3]) << 1 | 1) % 2**128  # numpy's PCG64: high word first, the increment made odd


def test_a_stream_can_be_copied_and_branched_as_numpys_own():
    rng = stream(1, "A", "policy", 0)
    first, second = rng.spawn(2)
    third = rng.spawn(1)[0]
    draws = {int(one.integers(2**62)) for one in (stream(1, "A", "policy", 0), first, second, third)}
    assert len(draws) == 4
    again = stream(1, "A", "policy", 0).spawn(3)
    assert [int(one.integers(2**62)) for one in again] == [int(one.integers(2**62)) for one in stream(1, "A", "policy", 0).spawn(3)]
    copied = copy.deepcopy(rng)
    assert copied.standard_normal(5).tolist() == rng.standard_normal(5).tolist()
    assert len({int(kind(Digest(b"x" * 32)).random_raw()) for kind in (np.random.Philox, np.random.MT19937, np.random.SFC64)}) == 3


def test_a_draw_is_uniform_and_within_its_bounds():
    drawn = np.array([draws(1, [f"A{i}" for i in range(200)], "schedule", step, -3, 7) for step in range(50)]).ravel()
    counts = np.array([(drawn == value).sum() for value in range(-3, 7)])
    assert counts.sum() == 10_000 == len(drawn)
    assert ((counts - 1000) ** 2 / 1000).sum() < 27.88  # the 0.999 quantile of chi-square with 9 degrees of freedom
    assert draws(1, "ABC", "schedule", 0, 5, 6) == [5, 5, 5]
    assert draws(1, "BA", "schedule", 0, 0, 2**256)[1] == int.from_bytes(hashlib.sha256(b"1\x00A\x00schedule\x000").digest(), "little")
