"""The compiled library: made once a machine and kept; whatever a compiler, a folder or a file does, there is a library or one warning.

Compilers here are small programs that take a real library, compiled once without optimising, for what they were to make.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sociallm import compiling, decoding
from sociallm.compiling import library
from sociallm.decoding import AGREED

found = compiling.compiler()
pytestmark = pytest.mark.skipif(found is None, reason="no C++ compiler here")
MACROS = '#define __VERSION__ "1"'


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("real") / "decoding.so"
    assert found is not None
    subprocess.run([*found, "-O0", "-std=c++17", "-shared", "-fPIC", "-Wno-psabi", str(compiling.MAIN), "-o", str(path)], check=True)
    return path


@pytest.fixture
def program(real: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Makes a compiler, which notes each library that it makes, and names it in CXX; the cache is empty."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    shutil.copy(real, tmp_path / "made.so")
    (tmp_path / "macros").write_text(MACROS)

    def make(compile: str = "", describe: str = "", name: str = "my c++") -> Path:
        path = tmp_path / name
        it = f'case "$*" in *-dM*) {describe or f"cat {tmp_path}/macros"};; *) {compile or f"echo $1 >> {tmp_path}/count; cp {tmp_path}/made.so $last"};; esac'
        path.write_text(f"#!/bin/sh\nfor last; do :; done\n{it}\n")
        path.chmod(0o755)
        monkeypatch.setenv("CXX", str(path))
        return path

    return make


def opened() -> bool:
    """Whether a new process would have a library."""
    library.cache_clear()
    return decoding.possible()


def compiled(tmp_path: Path) -> int:
    return len((tmp_path / "count").read_text().splitlines())


def kept(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "cache" / "social-sandbox").iterdir())


def test_both_sides_have_the_same_constants_and_structures() -> None:
    """The numbers that given.h asserts of itself, and exports."""
    assert AGREED == (32, 64, 0, -1, 24, 176, 64, 168)
    offsets = [(kind, name, getattr(kind, name).offset) for kind, names in (
        (decoding._Matrix, ("inputs",)), (decoding._Layer, ("eps", "into", "conv_KW")), (decoding._Model, ("eps", "head", "layer")),
        (decoding._Task, ("temperature", "header_B", "judge")),
    ) for name in names]  # fmt: skip
    text = (compiling.SOURCES / "given.h").read_text()
    for kind, name, offset in offsets:
        assert f"offsetof({kind.__name__[1:]}, {name.replace('inputs', 'in')}) == {offset}" in text


def test_a_compiler_may_have_arguments_and_its_path_spaces(program: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spaced = program()
    assert decoding.compiler() == (str(spaced),) and opened()
    plain, through = program(name="plain"), program('exec "$@"', 'exec "$@"', name="through")
    monkeypatch.setenv("CXX", f"{through} {plain} '-D A'")
    assert decoding.compiler() == (str(through), str(plain), "-D A") and opened()
    assert (tmp_path / "count").read_text().splitlines() == ["-O3", "-D A"]


def test_cxx_none_and_words_that_are_none_name_no_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "none")
    assert decoding.compiler() is None and decoding.kind() == "pytorch"
    monkeypatch.setenv("PATH", str(tmp_path))
    for words in ("", "g++ 'without its other", "nowhere/g++"):
        monkeypatch.setenv("CXX", words)
        assert decoding.compiler() is None


def test_a_compiler_that_hangs_is_ended_with_all_it_began(program: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(f"sleep 1000 & echo $! > {tmp_path}/child; wait")
    monkeypatch.setattr(compiling, "PATIENCE", 3.0)
    with pytest.warns(UserWarning, match=r"could not compile decoding\.cpp \(it had not ended after 3 s\)") as told:
        assert not opened()
        assert not decoding.possible()  # nor is it tried, or told, twice
    assert len(told) == 1
    stat = Path("/proc", (tmp_path / "child").read_text().strip(), "stat")
    until = time.monotonic() + 60
    while stat.exists() and stat.read_text().split()[2] != "Z":  # a zombie that nobody waits for
        assert time.monotonic() < until
        time.sleep(0.01)


@pytest.mark.parametrize("what", ["compile", "describe"])
def test_a_compiler_that_prints_without_end_is_ended(what: str, program: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    program(**{what: "exec yes"})
    monkeypatch.setattr(compiling, "MOST_PRINTED", 1 << 20)
    with pytest.warns(UserWarning, match="it printed more than 1 MiB"):
        assert not opened()


def test_nonsense_that_a_compiler_prints_is_told_in_one_line(program: Callable[..., Path]) -> None:
    program("printf 'warning\\na \\377\\001 error: \\000 of mine\\n'; exit 3")
    with pytest.warns(UserWarning, match="a .* error: .* of mine") as told:
        assert not opened()
    assert len(str(told[0].message).splitlines()) == 1


ANOTHER = 'extern "C" { extern const int agreed[8]; const int agreed[8] = {16}; void say_float32() {} void say_float16() {} void say_float64() {} extern const char made_by[]; const char made_by[] = ""; }'


@pytest.mark.parametrize(("text", "why"), [("int x;", "another library: .*agreed"), (ANOTHER, r"given\.h has the constants and sizes \(16, 0, .*\), decoding\.py \(32, 64, ")])
def test_another_library_is_not_used(text: str, why: str, program: Callable[..., Path], tmp_path: Path) -> None:
    assert found is not None
    (tmp_path / "other.cpp").write_text(text)
    subprocess.run([*found, "-shared", "-fPIC", str(tmp_path / "other.cpp"), "-o", str(tmp_path / "made.so")], check=True)
    program()
    with pytest.warns(UserWarning, match=why):
        assert not opened()
    assert not (tmp_path / "cache").exists()


def test_the_kind_of_code_names_the_compiler_that_made_it(program: Callable[..., Path]) -> None:
    assert found is not None
    program()
    macros = subprocess.run([*found, "-E", "-dM", "-x", "c++", os.devnull], capture_output=True, text=True, check=True).stdout
    (version,) = [line.split('"')[1] for line in macros.splitlines() if line.startswith("#define __VERSION__")]
    assert opened() and decoding.kind().startswith("c++ (") and version in decoding.kind()


def test_a_library_is_compiled_once(program: Callable[..., Path], tmp_path: Path) -> None:
    program()
    assert opened() and opened() and compiled(tmp_path) == 1
    assert [path.suffix for path in kept(tmp_path)] == [".sha256", ".so"]
    assert (tmp_path / "cache" / "social-sandbox").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("harm", ["cut short", "no digest", "another digest", "not a library", "for another machine", "others may write"])
def test_what_is_no_more_as_it_was_kept_is_compiled_again(harm: str, program: Callable[..., Path], tmp_path: Path) -> None:
    program()
    assert opened()
    digest, path = kept(tmp_path)
    if harm == "cut short":
        path.write_bytes(path.read_bytes()[:5000])
    elif harm == "no digest":
        digest.unlink()
    elif harm == "another digest":
        digest.write_bytes(b"\xff" * 64)
    elif harm == "for another machine":
        path.write_bytes(path.read_bytes()[:18] + b"\x03\x00" + path.read_bytes()[20:])  # by its header, an Intel 80386
    elif harm == "not a library":
        path.write_bytes(b"it")
    else:
        path.parent.chmod(0o777)
    if harm in ("for another machine", "not a library"):
        digest.write_text(compiling.hashlib.sha256(path.read_bytes()).hexdigest())
    assert opened() and compiled(tmp_path) == 2
    assert opened() and compiled(tmp_path) == (3 if harm == "others may write" else 2)


def test_another_processor_option_or_source_is_another_library(program: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = program()
    copy = tmp_path / "cpp"
    shutil.copytree(compiling.SOURCES, copy)
    monkeypatch.setattr(compiling, "SOURCES", copy)
    places = {compiling._place([str(name)]), compiling._place([str(name), "-O2"])}
    assert compiling._place([str(name)]) in places
    (tmp_path / "macros").write_text(f"{MACROS}\n#define __AVX512F__ 1")
    places.add(compiling._place([str(name)]))
    sources = sorted(copy.iterdir())
    for source in sources:
        source.write_text(source.read_text() + "\n")
        places.add(compiling._place([str(name)]))
    assert len(places) == 3 + len(sources) and len(sources) >= 8
    (tmp_path / "macros").write_text("I am a teapot")  # and so may be another's tomorrow
    assert compiling._place([str(name)]) is None


@pytest.mark.parametrize("where", ["a file", "a relative path", "no home"])
def test_without_a_cache_it_is_compiled_every_time(where: str, program: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program()
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", {"a file": str(tmp_path / "file"), "a relative path": "here", "no home": ""}[where])
    monkeypatch.setenv("HOME", str(tmp_path / "file"))
    monkeypatch.chdir(tmp_path)
    assert opened() and opened() and compiled(tmp_path) == 2
    assert not (tmp_path / "here").exists()


def test_a_cache_that_may_only_be_read_is_read(program: Callable[..., Path], tmp_path: Path) -> None:
    """Root may write anywhere, so a process without that right looks."""
    program()
    if os.geteuid() == 0 and not shutil.which("setpriv"):
        pytest.skip("root may write anywhere, and setpriv is not here")
    assert opened()
    digest, path = kept(tmp_path)
    digest.unlink()
    path.parent.chmod(0o500)
    run = [sys.executable, "-W", "error", "-c", "from sociallm import decoding; print(decoding.kind())"]
    drop = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
    done = subprocess.run([*drop, *run], capture_output=True, text=True, check=True)
    path.parent.chmod(0o700)
    assert done.stdout == f"{decoding.kind()}\n" and compiled(tmp_path) == 2 and not digest.exists()
