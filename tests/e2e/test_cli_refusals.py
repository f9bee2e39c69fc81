"""Every way to be refused: the exit code, one line of words, and nothing done that should not be."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import pytest

from tests.e2e.commands import NUMBERS, PASSPHRASE, Machine, RelayServer, Result, ended

SIGNUP = ("signup", "--profile", "one", "--name", "One")


def _digest(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _is_refused(result: Result, code: int, *words: str) -> None:
    assert result.code == code, result
    assert result.out == ""
    assert result.err.startswith("zap2: ")
    assert len(result.err.splitlines()) <= 2
    assert all(word in result.err for word in words), result.err


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        ("hello", ""),
        ("+49 12", ""),
        ("0151 23456789", "country code"),
        ("+999 1234567", ""),
        ("+1 202 555 01", "short"),
    ],
)
def test_what_is_no_phone_number_is_refused_here(machine: Machine, number: str, reason: str) -> None:
    """The relay of this address does not exist: had anything been sent, the code would be 4."""
    refused = machine.run(*SIGNUP, "--phone", number, "--relay", "ws://127.0.0.1:9")
    _is_refused(refused, 2, reason, "example")
    assert not machine.config.exists()


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("fly",),
        ("send", "--to"),
        ("send", "hello"),
        ("send", "--to", "x", "hello", "--wait", "forever"),
        ("receive", "--timeout", "soon"),
        ("contacts", "add"),
        ("history", "--profile", "../../etc"),
        ("history",),
        ("chat",),
        ("demo",),
        ("serve", "--store", "mysql://somewhere/zap2"),
        ("serve", "--store", "postgresql://127.0.0.1:9/zap2"),
        ("serve", "--tokens", "memcached://127.0.0.1:9"),
        ("serve", "--tokens", "redis://127.0.0.1:9/0"),
        ("serve", "--tls-cert", "only-half"),
        ("serve", "--data", ""),
        ("send", "--to", "", "hello"),
        ("contacts", "rename", "One", "two\nlines"),
        ("contacts", "rename", "One", "x" * 65),
        ("signup", "--relay", "http://example.org", "--phone", "+12025550143", "--name", "One"),
        ("signup", "--relay", "ws://127.0.0.1:9", "--phone", "+12025550143", "--name", " "),
    ],
)
def test_wrong_usage_is_told_in_a_line(machine: Machine, arguments: tuple[str, ...]) -> None:
    """Exit 2, a line and a hint; no usage text of a screen's length, no traceback."""
    _is_refused(machine.run(*arguments), 2)


def test_nobody_is_there(machine: Machine) -> None:
    """A relay that does not answer at signup: exit 4, and no profile."""
    refused = machine.run(*SIGNUP, "--phone", NUMBERS["one"], "--relay", "ws://127.0.0.1:9")
    _is_refused(refused, 4)
    assert not list(machine.config.glob("profiles/*/vault.db"))


def test_a_passphrase_is_never_read_from_nowhere(machine: Machine) -> None:
    """Without a source and without a terminal: exit 2 and the ways to give one."""
    refused = machine.run(
        *(*SIGNUP, "--phone", NUMBERS["one"], "--relay", "ws://127.0.0.1:9"), env={"ZAP2_PASSPHRASE_FILE": ""}
    )
    _is_refused(refused, 2, "--passphrase-file")


def test_an_open_passphrase_file_is_warned_of(machine: Machine) -> None:
    """A file that others can read works, and the person is told; the words go to standard error."""
    machine.passphrase_file.chmod(0o644)
    refused = machine.run(*SIGNUP, "--phone", NUMBERS["one"], "--relay", "ws://127.0.0.1:9")
    assert refused.code == 4
    assert "others can read" in refused.err


def test_a_closed_relay_takes_no_accounts(machine: Machine) -> None:
    """Exit 3, the relay's reason, and no profile."""
    with machine.relay("--verify", "none", "--registration", "closed") as relay:
        refused = machine.run(*SIGNUP, "--phone", NUMBERS["one"], "--relay", relay.address)
    _is_refused(refused, 3)
    assert not list(machine.config.glob("profiles/*/vault.db"))


def test_what_one_profile_can_be_refused(machine: Machine, relay: RelayServer) -> None:
    """One profile, everything that can go wrong with it short of a second person."""
    machine.sign_up("one", relay)
    send = ("send", "--profile", "one", "--to")

    # What cannot be sent.
    _is_refused(machine.run(*send, NUMBERS["two"], ""), 2, "empty")
    _is_refused(machine.run(*send, NUMBERS["two"], given=b" \n"), 2, "empty")
    _is_refused(machine.run(*send, NUMBERS["two"], given=b"\xff\xfe"), 2, "UTF-8")
    _is_refused(machine.run(*send, NUMBERS["two"], given="x" * 65_536), 2, "60,000")
    _is_refused(machine.run(*send, "12345", "hello"), 2, "example")
    _is_refused(machine.run(*send, "Nobody", "hello"), 2, "Nobody")
    _is_refused(machine.run(*send, NUMBERS["two"], "hello"), 3)
    _is_refused(machine.run("verify", "--profile", "one", NUMBERS["two"]), 2)

    # Notes to oneself need nobody.
    machine.does(*send, NUMBERS["one"], "a note")
    notes = machine.does("history", "--profile", "one", "--with", NUMBERS["one"], "--json").records
    assert [(note["text"], note["from"], note["to"]) for note in notes] == [
        ("a note", NUMBERS["one"], NUMBERS["one"])
    ]

    # A text may look like an option; a bad line among good ones is named, and the others are sent.
    machine.does(*send, NUMBERS["one"], "--", "--text")
    machine.does(*send, NUMBERS["one"], "-", given="from standard input\n")
    some = machine.run(*send, NUMBERS["one"], "--lines", "--json", given=b"first\n\xff\xfe\nlast\n")
    assert some.code == 1
    assert some.texts == ["first", "last"]
    assert "line 2 was not sent" in some.err
    texts = machine.does("history", "--profile", "one", "--json").texts
    assert texts == ["a note", "--text", "from standard input", "first", "last"]

    # Another process has it.
    owner = machine.start(
        *send, NUMBERS["one"], "--lines", "--json", stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with ended(owner):
        assert owner.stdin is not None
        assert owner.stdout is not None
        owner.stdin.write(b"a note through a pipe\n")
        owner.stdin.flush()
        assert b"through a pipe" in owner.stdout.readline()
        _is_refused(machine.run(*send, NUMBERS["one"], "a second note"), 7)

    # The passphrase is wrong: nothing on the disk changes.
    before = _digest(machine.config)
    wrong = machine.folder / "wrong"
    wrong.write_text(PASSPHRASE + " ")
    wrong.chmod(0o600)
    _is_refused(machine.run("--passphrase-file", str(wrong), *send, NUMBERS["one"], "x"), 5)
    _is_refused(machine.run("history", "--profile", "one", "--passphrase-file", str(wrong)), 5)
    assert _digest(machine.config) == before

    # The relay is gone.
    relay.stop()
    # Not 4, which says that the text is queued and goes out by itself.
    _is_refused(machine.run(*send, NUMBERS["two"], "hello"), 1, "Nothing was queued")
    _is_refused(machine.run("receive", "--profile", "one"), 4)

    # It is back and has lost its accounts.
    for file in (machine.folder / "relay").glob("relay.sqlite3*"):
        file.unlink()
    with machine.relay(port=relay.port) as forgetful:
        assert forgetful.address == relay.address
        told = machine.run("doctor", "--profile", "one")
        assert told.code == 3
        assert "no account" in told.out
        unknown = machine.run("contacts", "add", NUMBERS["two"], "--profile", "one")
        _is_refused(unknown, 3, "no account", "host", "sign up again")

    # Another relay answers in its place.
    with machine.relay(data="other", port=relay.port) as other:
        assert other.address != relay.address
        _is_refused(machine.run(*send, NUMBERS["two"], "hello"), 6)
        _is_refused(machine.run("receive", "--profile", "one"), 6)
        pinned = ("--phone", NUMBERS["two"], "--relay", relay.address)
        mistyped = machine.run("signup", "--profile", "two", "--name", "Two", *pinned)
        _is_refused(mistyped, 6, "the one in the address", "typing errors")
    assert not list(machine.config.glob("profiles/two/vault.db"))

    # The files are damaged.
    database = machine.config / "profiles" / "one" / "vault.db"
    database.write_bytes(database.read_bytes()[:5000])
    _is_refused(machine.run("history", "--profile", "one"), 7)
    database.unlink()
    _is_refused(machine.run("history", "--profile", "one"), 7, "vault.db")
    _is_refused(machine.run(*send, NUMBERS["one"], "x"), 7, "vault.db")
