"""`zap2 chat` in real terminals: the first run, a conversation of two, hosting, and a peer who attacks the terminal."""

from __future__ import annotations

import re
import signal
import sys

from tests.e2e.commands import NUMBERS, PASSPHRASE, Machine, wait_until
from tests.e2e.terminal import CTRL_Q, ENTER, ESCAPE, Terminal

_CTRL_N = "\x0e"
_F3 = "\x1bOR"
_F4 = "\x1bOS"


def _chat(machine: Machine, profile: str, *options: str) -> Terminal:
    """Start `zap2 chat` as a person does, who types the passphrase."""
    environment = {
        name: value for name, value in machine.environment.items() if name != "ZAP2_PASSPHRASE_FILE"
    }
    return Terminal([sys.executable, "-m", "zap2", "chat", "--profile", profile, *options], environment)


def _fill(terminal: Terminal, title: str, *fields: str) -> None:
    """Fill the fields of the page with this title, each with Enter at its end."""
    terminal.wait_for(title)
    for field in fields:
        if field:
            terminal.type(field)
            terminal.settle()
        terminal.type(ENTER)
        terminal.settle()


def _unlock(terminal: Terminal) -> None:
    _fill(terminal, "Enter unlocks", PASSPHRASE)
    terminal.wait_for("online", "Zap2")


def test_two_terminals_from_the_first_run_to_read(machine: Machine) -> None:
    """The wizard with a code from the relay's log, a contact by number, both ways, states, quitting, unlocking."""
    with machine.relay("--verify", "log") as relay:
        with _chat(machine, "one", "--relay", relay.address) as one:
            _fill(one, "Which relay?", "")
            _fill(one, "Your phone number", "hello")
            one.wait_for("example")
            one.type("\x7f" * 5)
            one.settle()
            _fill(one, "Your phone number", NUMBERS["one"])
            one.wait_for("The six-digit code")
            wait_until(lambda: len(relay.codes) == 1, "the code in the relay's log")
            _fill(one, "The six-digit code", relay.codes[0])
            _fill(one, "Your name", "One")
            _fill(one, "A passphrase", PASSPHRASE, PASSPHRASE)
            one.wait_for("online", "No conversations yet")

            with _chat(machine, "two", "--relay", relay.address) as two:
                _fill(two, "Which relay?", "")
                _fill(two, "Your phone number", NUMBERS["two"])
                two.wait_for("The six-digit code")
                wait_until(lambda: len(relay.codes) == 2, "the second code")
                _fill(two, "The six-digit code", relay.codes[1])
                _fill(two, "Your name", "Two")
                _fill(two, "A passphrase", PASSPHRASE, PASSPHRASE)
                two.wait_for("online", "No conversations yet")
                two.type(_CTRL_N)
                _fill(two, "Add somebody", NUMBERS["one"])
                two.wait_for("555-0143", "Write")

                one.type(_CTRL_N)
                _fill(one, "Add somebody", NUMBERS["two"])
                one.wait_for("555-0144", "Write")
                one.type("a first word")
                one.type(ENTER)
                two.wait_for("a first word", "One")
                one.wait_for("✓✓ read")
                two.type("and an answer")
                two.type(ENTER)
                one.wait_for("and an answer", "Two")
                two.wait_for("✓✓ read")

                one.type(_F4)
                shown = one.wait_until(lambda text: len(_groups_in(text)) == 12, "a safety number")
                digits = _groups_in(shown)
                two.type(_F4)
                two.wait_for(*digits)
                two.type(CTRL_Q)
                assert two.wait_for_end() == 0
            one.type(CTRL_Q)
            assert one.wait_for_end() == 0
        # Everything is there again, also for a relay that is away.
        relay.stop()
        with _chat(machine, "one") as one:
            _fill(one, "Enter unlocks", "wrong")
            one.wait_for("does not open")
            _fill(one, "Enter unlocks", PASSPHRASE)
            one.wait_for("and an answer")
            one.type(CTRL_Q)
            assert one.wait_for_end() == 0


def test_a_peer_cannot_speak_to_the_terminal(two_people: Machine) -> None:
    """Escapes, C1 codes and direction overrides of a message and of a name never reach the pty; the words do."""
    machine = two_people
    attack = "first\x1b]52;c;aGFjaw==\x07\x1b[2J\x9b31m\u202edrow\u2066 [@click=app.quit]last[/]"
    machine.does("contacts", "add", NUMBERS["two"], "--profile", "one")
    machine.does("send", "--profile", "two", "--to", NUMBERS["one"], attack)
    with _chat(machine, "one") as terminal:
        _unlock(terminal)
        terminal.wait_for("first", "[@click=app.quit]last[/]")
        terminal.type(ENTER)
        terminal.type(CTRL_Q)
        assert terminal.wait_for_end() == 0
    for bad in (b"\x1b]52", b"\x1b[31m", "\x9b".encode(), "\u202e".encode(), "\u2066".encode()):
        assert bad not in terminal.written
    printed = machine.does("history", "--profile", "one").out
    assert "first" in printed
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", printed)


def test_a_chat_can_host_its_relay(machine: Machine) -> None:
    """`zap2 chat --serve`: its own wizard offers the relay, a friend reaches it, and it ends with the chat."""
    with _chat(machine, "one", "--serve", "--port", "0") as one:
        offered = one.wait_for("Which relay?", "zap2+ws://")
        _fill(one, "Which relay?", "")
        _fill(one, "Your phone number", NUMBERS["one"])
        _fill(one, "Your name", "One")
        _fill(one, "A passphrase", PASSPHRASE, PASSPHRASE)
        one.wait_for("online", "No conversations yet")
        one.type(_F3)
        one.wait_for("You host this relay")
        address = _address_in(offered)
        one.type(ESCAPE)
        machine.does(
            "signup", "--profile", "two", "--relay", address, "--phone", NUMBERS["two"], "--name", "Two"
        )
        machine.does("send", "--profile", "two", "--to", NUMBERS["one"], "hello host")
        # A stranger's words are not shown in the list before they are accepted.
        one.wait_for("wants to write to you")
        one.type(CTRL_Q)
        assert one.wait_for_end() == 0
    assert machine.run("send", "--profile", "two", "--to", NUMBERS["one"], "still there?").code == 4


def test_a_chat_whose_terminal_closes_puts_it_back_and_ends(machine: Machine) -> None:
    """SIGHUP: the screen and the cursor are restored, the relay inside stops, and the exit code says why."""
    with _chat(machine, "one", "--serve", "--port", "0") as one:
        one.wait_for("Which relay?", "zap2+ws://")
        one.send_signal(signal.SIGHUP)
        assert one.wait_for_end() == 128 + signal.SIGHUP
    assert one.written.rindex(b"\x1b[?1049l") > one.written.rindex(b"\x1b[?1049h")
    assert b"\x1b[?25h" in one.written


def _groups_in(screen: str) -> list[str]:
    return re.findall(r"\b\d{5}\b", screen)


def _address_in(screen: str) -> str:
    found = re.search(r"zap2\+ws://[a-z2-7]{32}@[\w.]+:\d+", screen)
    assert found, screen
    return found[0]
