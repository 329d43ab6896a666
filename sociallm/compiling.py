"""The library of `cpp/`: taken from the cache, or made by the C++ compiler there is; opened only if it is what `decoding.py` expects.

The cache is $XDG_CACHE_HOME/social-sandbox, by default ~/.cache/social-sandbox, this user's alone. A library's name there is a digest of
every source, the command, and all that the compiler says of itself and of the processor it compiles for: a change of any makes another
name, and a folder that two machines share holds one for each. Beside it lies its SHA-256, so that one that was cut short is made again.

Whatever goes wrong leaves no library, and one warning that says why: then PyTorch words the messages. CXX names a compiler, with arguments
if need be ("ccache g++"); CXX=none does without.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import platform
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
import warnings
from collections.abc import Sequence
from contextlib import suppress
from ctypes import c_int32
from pathlib import Path

SOURCES = Path(__file__).with_name("cpp")
MAIN = SOURCES / "decoding.cpp"  # includes the others
FLAGS = ("-O3", "-std=c++17", "-shared", "-fPIC", "-fno-math-errno", "-fno-trapping-math", "-Wno-psabi")
FUNCTIONS = ("say_float32", "say_float16", "say_float64")
NONE = "none"
PATIENCE = 300.0  # seconds for what takes four of one core, or a minute of a busy machine
MOST_PRINTED = 1 << 24  # bytes


def compiler() -> tuple[str, ...] | None:
    """The C++ compiler, as the words of its command: CXX, g++, clang++ or c++, the first that is there; None for CXX=none."""
    named = os.environ.get("CXX", "").strip()
    if named == NONE:
        return None
    for command in (named, "g++", "clang++", "c++"):
        words = _words(command)
        if words and (program := shutil.which(words[0])):
            return (program, *words[1:])
    return None


def _words(command: str) -> list[str]:
    if not command or shutil.which(command):  # a path may have spaces
        return [command] if command else []
    try:
        return shlex.split(command)
    except ValueError:  # a quotation mark without its other
        return []


@functools.cache
def library(compiler: tuple[str, ...], agreed: tuple[int, ...]) -> ctypes.CDLL | None:
    """The library, once a process, if it was made with the constants and sizes `agreed`; None, and a warning, if there is none to be had."""
    command = (*compiler, *FLAGS, "-march=native" if platform.machine() in ("x86_64", "AMD64") else "-mcpu=native")
    try:
        kept = _place(command)
        return (kept and _kept(kept, agreed)) or _made(command, kept, agreed)
    except OSError as error:  # no folder to write in, one that nothing may be run from, no program, a program that made nothing
        why = " ".join(str(error).split())
    warnings.warn(f"{shlex.join(compiler)} could not compile {MAIN.name} ({why:.300}); decoding stays slow; name another compiler in CXX, or a folder in TMPDIR", stacklevel=2)
    return None


def _made(command: Sequence[str], kept: Path | None, agreed: tuple[int, ...]) -> ctypes.CDLL:
    """Compile, open and keep it. Raises OSError."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        path = Path(folder, "decoding.so")
        _printed([*command, str(MAIN), "-o", str(path)])
        library = _opened(path, agreed)
        if kept:
            with suppress(OSError):  # of no cache: it will be made again
                _keep(kept, path.read_bytes())
        return library


def _opened(path: Path, agreed: tuple[int, ...]) -> ctypes.CDLL:
    library = ctypes.CDLL(str(path))
    try:
        there = tuple((c_int32 * len(agreed)).in_dll(library, "agreed"))
        for name in (*FUNCTIONS, "made_by"):
            getattr(library, name)
    except (ValueError, AttributeError) as error:
        raise OSError(f"what it made is another library: {error}") from None
    if there != agreed:
        raise OSError(f"given.h has the constants and sizes {there}, decoding.py {agreed}")
    return library


def maker(library: ctypes.CDLL) -> str:
    """The compiler that made it, as it names itself, and whether it multiplies and adds in one operation: what rounding depends on."""
    return ctypes.string_at(ctypes.addressof(ctypes.c_char.in_dll(library, "made_by"))).decode(errors="replace")


# ---- running the compiler --------------------------------------------------------------------------------------------------


def _printed(words: Sequence[str]) -> bytes:
    """What a program printed. Raises OSError when it fails, hangs, or prints without end."""
    with tempfile.TemporaryFile() as out:  # not a pipe, which a grandchild would hold open
        # a session of its own: Ctrl-C ends a run after its step, which must not be worded by other code than the steps before
        child = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            status = _ended(child, out.fileno())
        finally:
            if child.returncode is None:
                with suppress(ProcessLookupError):
                    os.killpg(child.pid, signal.SIGKILL)
                child.wait()
        out.seek(0)
        printed = out.read(MOST_PRINTED)
    if status:
        lines = printed.decode(errors="replace").splitlines()
        raise OSError(next((line for line in lines if "error" in line), f"exit status {status}"))
    return printed


def _ended(child: subprocess.Popen[bytes], out: int) -> int:
    until = time.monotonic() + PATIENCE
    while True:
        with suppress(subprocess.TimeoutExpired):
            return child.wait(0.2)
        if os.fstat(out).st_size > MOST_PRINTED:
            raise OSError(f"it printed more than {MOST_PRINTED >> 20} MiB")
        if time.monotonic() > until:
            raise OSError(f"it had not ended after {PATIENCE:.0f} s")


# ---- the cache -------------------------------------------------------------------------------------------------------------


def _place(command: Sequence[str]) -> Path | None:
    """Where a library made by this command is kept; None where a compiler does not say what it compiles for. Raises OSError."""
    macros = _printed([*command, "-E", "-dM", "-x", "c++", os.devnull])
    named = os.environ.get("XDG_CACHE_HOME", "")
    if b"__VERSION__" not in macros:
        return None
    h = hashlib.sha256(repr(tuple(command)).encode())
    for content in (macros, *(part for path in sorted(SOURCES.iterdir()) for part in (path.name.encode(), path.read_bytes()))):
        h.update(b"%d " % len(content) + content)
    with suppress(RuntimeError):  # a user without a home
        root = Path(named) if Path(named).is_absolute() else Path.home() / ".cache"
        return root / "social-sandbox" / f"decoding-{h.hexdigest()[:32]}.so"
    return None


def _kept(path: Path, agreed: tuple[int, ...]) -> ctypes.CDLL | None:
    """The library that lies there, if it is whole and nobody else could have put it there."""
    try:
        folder = path.parent.stat()
        if folder.st_uid != os.geteuid() or folder.st_mode & 0o022:
            return None
        if hashlib.sha256(path.read_bytes()).hexdigest() != _sum(path).read_text("ascii"):
            return None
        return _opened(path, agreed)
    except (OSError, ValueError):  # none, not one of this machine, a folder that nothing may be run from
        return None


def _keep(path: Path, content: bytes) -> None:
    """Put it there, so that whoever looks meanwhile finds a whole one or none."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    for target, whole in ((path, content), (_sum(path), hashlib.sha256(content).hexdigest().encode())):
        part = target.with_name(f"{target.name}.{os.getpid()}.part")
        try:
            part.write_bytes(whole)
            os.replace(part, target)
        finally:
            part.unlink(missing_ok=True)


def _sum(path: Path) -> Path:
    return path.with_suffix(".sha256")
