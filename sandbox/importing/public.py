"""The public sets that `sociallm.corpora` reads, by the name of their folder: their own shapes are known there, and nowhere else.

Texts are cut at the length that training takes, and cleaned, as it does; names of authors are as the sets have them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sandbox.importing.source import Reading
from sandbox.importing.talk import Talk, bounded
from sandbox.importing.wish import ImportRefused
from sociallm.conversation import ConversationError
from sociallm.corpora import LOADERS, load

_FOLDERS = {"irc_ubuntu_dev": "irc_disentanglement"}
SETS: Mapping[str, tuple[str, ...]] = {
    folder: tuple(name for name in LOADERS if _FOLDERS.get(name, name.removesuffix("_validation")) == folder)
    for folder in sorted({_FOLDERS.get(name, name.removesuffix("_validation")) for name in LOADERS})
}  # folder → the corpora in it


def public(reading: Reading) -> Iterator[Talk]:
    """A talk for each conversation of each corpus."""
    for source in reading.sources:
        folder = source.path.resolve()
        if folder.name not in SETS:
            raise ImportRefused(f"{source.path}: no public set is called so; expected a folder named {', '.join(SETS)}, or name another --format")
        for corpus in SETS[folder.name]:
            try:
                found = load(corpus, folder.parent)
            except ConversationError as error:
                raise ImportRefused(str(error)) from None
            for conversation in found:
                try:
                    bounded(conversation.messages, f"{source.path}: {conversation.id}")
                except ImportRefused as error:
                    reading.refuse(error)
                    continue
                yield Talk(name=conversation.id, source=source.name, where=f"{source.path}: {conversation.id}", happened=conversation.messages, format=reading.format)
