"""Invites, registration PINs and unlisted numbers as people use them: by command and in a terminal."""

from __future__ import annotations

import sys

from tests.e2e.commands import NUMBERS, PASSPHRASE, Machine, RelayServer
from tests.e2e.terminal import CTRL_Q, ENTER, Terminal

_CTRL_N = "\x0e"


def _pin_file(machine: Machine, pin: str) -> str:
    path = machine.folder / "pin"
    path.write_text(pin + "\n")
    path.chmod(0o600)
    return str(path)


def test_a_number_moves_to_a_new_profile_with_its_pin_only(machine: Machine, relay: RelayServer) -> None:
    """`profile pin`, then `signup --pin-file`: refused without a PIN and with a wrong one, done with the right one."""
    machine.sign_up("one", relay)
    again = (
        "signup",
        "--profile",
        "new",
        "--relay",
        relay.address,
        "--phone",
        NUMBERS["one"],
        "--name",
        "New",
    )
    assert machine.run(*again).code == 3
    done = machine.does("profile", "pin", "--profile", "one", "--pin-file", _pin_file(machine, "4711"))
    assert "4711" not in done.out + done.err
    (shown,) = machine.does("profile", "show", "--profile", "one", "--json").records
    assert (shown["pin"], shown["listed"]) == (True, True)
    needed = machine.run(*again)
    assert (needed.code, "--pin-file" in needed.err) == (3, True)
    wrong = machine.run(*again, "--pin-file", _pin_file(machine, "0815"))
    assert (wrong.code, "not the account's registration PIN" in wrong.err) == (3, True)
    taken = machine.does(*again, "--pin-file", _pin_file(machine, "4711"))
    assert "Its registration PIN holds for this account now" in taken.out
    (shown,) = machine.does("profile", "show", "--profile", "new", "--json").records
    assert (shown["pin"], shown["number_lost"]) == (True, False)


def test_who_lost_a_number_reads_it_and_what_to_do(machine: Machine, relay: RelayServer) -> None:
    """Any command that connects brings it home; from then on the vault knows. A PIN is refused, and mail goes on."""
    machine.sign_up("one", relay)
    machine.sign_up("two", relay)
    machine.does("contacts", "add", NUMBERS["two"], "--profile", "one")
    machine.does("profile", "pin", "--profile", "one", "--pin-file", _pin_file(machine, "4711"))
    machine.does(
        *("signup", "--profile", "new", "--relay", relay.address, "--phone", NUMBERS["one"], "--name", "New"),
        *("--pin-file", _pin_file(machine, "4711")),
    )
    refused = machine.run("profile", "pin", "--profile", "one", "--pin-file", _pin_file(machine, "0815"))
    assert refused.code == 3
    assert "Another account has taken over this account's number." in refused.err
    assert "sign up anew, under another --profile name" in refused.err
    assert machine.run("profile", "listed", "yes", "--profile", "one").code == 3
    (shown,) = machine.does("profile", "show", "--profile", "one", "--json").records
    assert (shown["number_lost"], shown["pin"], shown["listed"]) == (True, False, False)
    words = machine.does("profile", "show", "--profile", "one")
    assert "(belongs to another account now)" in words.out
    assert "Your conversations and contacts go on" in words.err
    # The number means the new account now, also to whoever had it; the old contact is still there.
    machine.does("send", "--profile", "one", "--to", NUMBERS["one"], "are you the new one?")
    (request,) = machine.does("receive", "--profile", "new", "--json", "--timeout", "20").records
    assert request["text"] == "are you the new one?"
    assert request["from"] != NUMBERS["one"]
    machine.does("send", "--profile", "one", "--to", NUMBERS["two"], "still me")
    (still,) = machine.does("receive", "--profile", "two", "--json", "--timeout", "20").records
    assert still["text"] == "still me"


def test_a_pin_replaces_no_invite(machine: Machine) -> None:
    """By invite both are needed, and what is missing is said; where registration is closed nothing helps."""
    with machine.relay("--verify", "none") as relay:
        machine.sign_up("one", relay)
        machine.does("profile", "pin", "--profile", "one", "--pin-file", _pin_file(machine, "4711"))
        port = relay.address.rpartition(":")[2]

    def again(relay: RelayServer) -> tuple[str, ...]:
        return (
            *("signup", "--profile", "new", "--relay", relay.address, "--phone", NUMBERS["one"]),
            *("--name", "New", "--pin-file", _pin_file(machine, "4711")),
        )

    with machine.relay("--verify", "none", "--registration", "closed", "--port", port) as relay:
        closed = machine.run(*again(relay))
        assert (closed.code, "takes no new accounts" in closed.err) == (3, True)
    with machine.relay("--verify", "none", "--registration", "invite", "--port", port) as relay:
        bare = machine.run(*again(relay))
        assert (bare.code, "you need one too, and its registration PIN" in bare.err) == (3, True)
        assert not (machine.folder / "config" / "profiles" / "new").exists()
        invite = machine.does("admin", "invite", "--data", str(machine.folder / "relay")).out.split()[0]
        taken = machine.does(*again(relay), "--invite", invite)
        assert "Its registration PIN holds for this account now" in taken.out


def test_a_pin_that_was_removed_is_none(machine: Machine, relay: RelayServer) -> None:
    """`profile pin --remove`: nobody takes the number over any more."""
    machine.sign_up("one", relay)
    machine.does("profile", "pin", "--profile", "one", "--pin-file", _pin_file(machine, "4711"))
    machine.does("profile", "pin", "--profile", "one", "--remove")
    (shown,) = machine.does("profile", "show", "--profile", "one", "--json").records
    assert shown["pin"] is False
    taken = machine.run(
        *("signup", "--profile", "new", "--relay", relay.address, "--phone", NUMBERS["one"], "--name", "New"),
        *("--pin-file", _pin_file(machine, "4711")),
    )
    assert taken.code == 3


def test_who_is_not_listed_is_not_found(two_people: Machine) -> None:
    """`profile listed no`: adding by number is refused, and works again after `listed yes`."""
    machine = two_people
    machine.does("profile", "listed", "no", "--profile", "two")
    assert machine.run("contacts", "add", NUMBERS["two"], "--profile", "one").code == 3
    machine.does("profile", "listed", "yes", "--profile", "two")
    machine.does("contacts", "add", NUMBERS["two"], "--profile", "one")


def test_what_does_not_fit_is_refused_before_anything_is_asked(machine: Machine) -> None:
    """Usage errors, without a profile and without a relay; a PIN is no argument."""
    for wrong in (
        ("profile", "listed"),
        ("profile", "listed", "maybe"),
        ("profile", "pin", "yes"),
        ("profile", "pin", "--remove", "--pin-file", "f"),
        ("profile", "pin", "--pin-file", str(machine.folder / "missing")),
        ("profile", "pin", "--pin-file", _pin_file(machine, "123")),
        ("profile", "show", "--remove"),
    ):
        refused = machine.run(*wrong)
        assert refused.code == 2, (wrong, refused)
        assert len(refused.err.splitlines()) <= 2
    assert "--pin-file" in machine.run("profile", "pin").err


def test_from_an_invite_to_a_conversation(machine: Machine) -> None:
    """Two terminals at a relay by invite: the wizard asks for it, and takes keys as fast as they are typed."""
    with machine.relay("--verify", "none", "--registration", "invite") as relay:
        data = str(machine.folder / "relay")
        invites = machine.does("admin", "invite", "--count", "2", "--data", data).out.split()
        first, second = (word for word in invites if word.count("-") == 3)
        with _new_chat(machine, "one", relay) as one, _new_chat(machine, "two", relay) as two:
            _join(one, "wrong", first, NUMBERS["one"], "One")
            # The first invite is used up now; the step that failed asks for another one.
            _join(two, first, second, NUMBERS["two"], "Two")
            one.type(_CTRL_N)
            one.wait_for("Add somebody")
            one.type(NUMBERS["two"] + ENTER)
            one.wait_for("555-0144", "Write")
            one.type("by invite only" + ENTER)
            two.wait_for("wants to write to you")
            for terminal in (one, two):
                terminal.type(CTRL_Q)
                assert terminal.wait_for_end() == 0


def _new_chat(machine: Machine, profile: str, relay: RelayServer) -> Terminal:
    environment = {
        name: value for name, value in machine.environment.items() if name != "ZAP2_PASSPHRASE_FILE"
    }
    command = [sys.executable, "-m", "zap2", "chat", "--profile", profile, "--relay", relay.address]
    return Terminal(command, environment)


def _join(terminal: Terminal, bad_invite: str, invite: str, number: str, name: str) -> None:
    terminal.wait_for("Which relay?")
    terminal.type(ENTER)
    terminal.wait_for("Your invite")
    terminal.type(bad_invite + ENTER)
    terminal.wait_for("Your phone number")
    terminal.type(number + ENTER)
    terminal.wait_for("This invite is unknown")
    terminal.type("\x7f" * len(bad_invite) + invite + ENTER)
    terminal.wait_for("Your phone number")
    # The number is there still; the rest is typed without waiting for any step.
    terminal.type(ENTER + name + ENTER + PASSPHRASE + ENTER + PASSPHRASE + ENTER)
    terminal.wait_for("online", "No conversations yet")
