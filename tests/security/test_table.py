"""Every line of the security table has tests, and what is marked is what the table says."""

from __future__ import annotations

import ast
from pathlib import Path

import tests.security as table

TESTS = Path(__file__).parents[1]
LINES = tuple(f"S{n}" for n in range(1, 12))


def rows() -> dict[str, set[str]]:
    """Line → the files that the table names for it."""
    told = [row.split("|") for row in (table.__doc__ or "").splitlines() if row.startswith("| S")]
    return {cells[1].strip(): {str(path.relative_to(TESTS)) for pattern in cells[3].split(",") for path in TESTS.glob(pattern.strip())} for cells in told}


def marked() -> dict[str, set[str]]:
    """Line → the files with a test of it: `pytest.mark.security(line=…)` on a test, or on a whole file."""
    found: dict[str, set[str]] = {}
    for path in sorted(TESTS.rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.security":
                assert not node.args and [word.arg for word in node.keywords] == ["line"], f"{path}:{node.lineno}: expected security(line='S1')"
                found.setdefault(ast.literal_eval(node.keywords[0].value), set()).add(str(path.relative_to(TESTS)))
    return found


def test_every_line_names_files_that_are_there():
    assert tuple(rows()) == LINES and all(rows().values())


def test_every_line_has_marked_tests_and_no_test_is_marked_for_another():
    assert set(marked()) == set(LINES)


def test_every_marked_file_is_in_its_row_of_the_table():
    assert not {line: files - rows()[line] for line, files in marked().items() if files - rows()[line]}


def test_the_files_of_a_line_have_tests():
    for line, files in rows().items():
        assert any("def test_" in (TESTS / file).read_text(encoding="utf-8") for file in files), line
