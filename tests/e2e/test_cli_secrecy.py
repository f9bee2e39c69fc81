"""What lies on the disks: no text, name or number in the profile, and none at the relay."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from tests.e2e.commands import NUMBERS, Machine, RelayServer

_TEXT = "the-heron-flies-at-dawn"
_NAMES = ("One", "Zwei-Komma-Fünf")


def _spellings(word: str) -> Iterator[bytes]:
    for encoding in ("utf-8", "utf-16-le", "utf-16-be"):
        yield word.encode(encoding)
    yield word.encode().hex().encode()


def _number_spellings(number: str) -> Iterator[bytes]:
    digits = number.removeprefix("+")
    # Without the country code as well; fewer digits could be there by chance.
    for spelling in (number, digits, digits[1:]):
        yield from _spellings(spelling)
    yield int(digits).to_bytes(8, "big")
    yield int(digits).to_bytes(8, "little")


def _found(folder: Path, words: list[bytes]) -> list[tuple[str, bytes]]:
    return [
        (path.name, word)
        for path in folder.rglob("*")
        if path.is_file()
        for word in words
        if word in path.read_bytes()
    ]


def test_nothing_readable_lies_around(two_people: Machine, relay: RelayServer) -> None:
    """While both run, and after: every file of the profiles, of the relay, and the relay's log."""
    machine = two_people
    words = [*_spellings(_TEXT), *_spellings(_NAMES[1])]
    for number in NUMBERS.values():
        words += _number_spellings(number)
    machine.does("contacts", "add", NUMBERS["two"], "--name", _NAMES[1], "--profile", "one")
    machine.does("send", "--profile", "one", "--to", NUMBERS["two"], _TEXT)
    relay_data = machine.folder / "relay"
    # The message waits in the mailbox now.
    assert _found(relay_data, words) == []
    with machine.following("two") as follower:
        assert follower.next_text() == _TEXT
        machine.does("send", "--profile", "one", "--to", NUMBERS["two"], _TEXT)
        assert follower.next_text() == _TEXT
        assert _found(machine.config, [*words, b"SQLite format 3", b"CREATE TABLE"]) == []
        assert _found(relay_data, words) == []
    relay.stop()
    assert _found(machine.config, [*words, b"SQLite format 3", b"CREATE TABLE"]) == []
    assert _found(relay_data, words) == []
    assert not any(word in relay.log_file.read_bytes() for word in words)
    # The search itself works: the text is in this file.
    assert _found(Path(__file__).parent, [_TEXT.encode()])


def test_everything_kept_is_closed_to_others(machine: Machine, relay: RelayServer) -> None:
    """Folders 0700 and files 0600, whatever the umask."""
    before = os.umask(0)
    try:
        machine.sign_up("one", relay)
    finally:
        os.umask(before)
    for root in (machine.config / "profiles", machine.folder / "relay"):
        for path in (root, *root.rglob("*")):
            mode = stat.S_IMODE(path.stat().st_mode)
            assert mode & (stat.S_IRWXG | stat.S_IRWXO) == 0, f"{path} has mode {mode:o}"
