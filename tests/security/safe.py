"""What a command printed, held against S5: nothing that steers a terminal, and no line that began in somebody's text."""

from __future__ import annotations

import unicodedata

from tests.security.hostile import FORGED


def unsafe(text: str) -> set[str]:
    """The characters that a terminal would obey, or take for an end of line, and bidi marks; ends of lines are the program's own."""
    return {c for c in text if c != "\n" and unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")}


def safe(out: str, err: str = "") -> str:
    """All that was printed. Fails where the rule is broken."""
    for text in (out, err):
        assert not unsafe(text), (unsafe(text), text)
        assert not any(line.lstrip().startswith(FORGED) for line in text.split("\n")), text
    return out + err


def told(capsys, main, *words) -> tuple[int, str]:
    """(exit code, all that was printed) of a command, or of argparse's refusal of it."""
    capsys.readouterr()
    try:
        code = main([str(word) for word in words])
    except SystemExit as error:
        code = error.code
    return code, safe(*capsys.readouterr())
