"""Files that pass for weights: pickles that run code as they are loaded, and safetensors files with a header that was tampered with."""

from __future__ import annotations

import io
import os
import pickle
import random
import zipfile
from pathlib import Path

import numpy as np
import torch

WORDS = (b"__metadata__", b"dtype", b"shape", b"data_offsets", b"F32", b"F64", b"BF16", b"I64", b"BOOL", b"F8_E4M3", b"null", b"true", b"-1", b"0", b"1e999", b"18446744073709551615", b"9" * 30, b"{", b"}", b"[", b"]", b'"', b"\\u0000", b"\xff\xfe", b",", b":")


class Touching:
    """A value whose unpickling makes a file."""

    def __init__(self, canary: Path):
        self.canary = str(canary)

    def __reduce__(self):
        return (os.mkdir, (self.canary,))


def pickles(canary: Path) -> dict[str, bytes]:
    """Kind of file → its content; to load any of them by the means made for it makes `canary`."""
    value = Touching(canary)
    torch.save({"weight": value}, whole := io.BytesIO())
    torch.save({"weight": value}, legacy := io.BytesIO(), _use_new_zipfile_serialization=False)
    np.save(objects := io.BytesIO(), np.array([value], dtype=object), allow_pickle=True)
    np.savez(several := io.BytesIO(), a=np.array([value], dtype=object))
    with zipfile.ZipFile(program := io.BytesIO(), "w") as archive:  # as torch.export and TorchScript lay theirs out
        archive.writestr("archive/version", "6")
        archive.writestr("archive/byteorder", "little")
        archive.writestr("archive/data.pkl", pickle.dumps(value))
        archive.writestr("archive/data/constants/model_constants_config.json", "{}")
    made = {".pt": whole, ".pt of old": legacy, ".npy": objects, ".npz": several, ".pt2": program}
    return {".pkl": pickle.dumps(value), ".pkl of protocol 0": pickle.dumps(value, 0), **{kind: file.getvalue() for kind, file in made.items()}}


def tampered(content: bytes, seed: int) -> bytes:
    """The file with its header changed in one to four places: bits, bytes, words, digits, its length, its end."""
    rng = random.Random(seed)
    size = int.from_bytes(content[:8], "little")
    header, rest = bytearray(content[8 : 8 + size]), content[8 + size :]
    length: int | None = None
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(header))
        match rng.randrange(8):
            case 0:
                header[at] ^= 1 << rng.randrange(8)
            case 1:
                header[at] = rng.randrange(256)
            case 2:
                header[at:at] = rng.choice(WORDS)
            case 3:
                del header[at : at + rng.randint(1, 40)]
            case 4:
                header[at : at + 20] = header[(to := rng.randrange(len(header))) : to + 20]
            case 5:
                digits = [i for i, byte in enumerate(header) if 48 <= byte < 58]
                header[rng.choice(digits or [0])] = rng.randrange(48, 58)
            case 6:
                length = rng.choice([0, 1, size - 1, size + 1, len(content), 2**31, 2**40, 2**63, 2**64 - 1, rng.randrange(2**64)])
            case 7:
                rest = rest[: rng.randrange(len(rest) + 1)]
        if not header:
            break
    made = (len(header) if length is None else length).to_bytes(8, "little") + bytes(header) + rest
    return made if made != content else content + b"\0"
