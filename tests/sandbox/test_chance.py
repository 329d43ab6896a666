"""Random streams: made from their names alone."""

import itertools
import subprocess
import sys

import numpy as np

from sandbox.chance import stream


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
