"""Two people by commands alone: signing up with codes, meeting, talking, trusting, being away."""

from __future__ import annotations

import re

from tests.e2e.commands import NUMBERS, Machine, RelayServer, sign_up_line, wait_until

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def test_a_number_is_proved_with_the_code_in_the_relays_log(machine: Machine) -> None:
    """Without a code the command ends and says how to go on; a wrong one is refused; the right one signs up."""
    with machine.relay("--verify", "log") as relay:
        signup = sign_up_line("one", relay)
        first = machine.run(*signup)
        assert first.code == 1  # not 2, which says that nothing was done: there is a code now
        assert "--code" in first.err
        wait_until(lambda: len(relay.codes) == 1, "the code in the relay's log")
        code = relay.codes[0]

        wrong = machine.run(*signup, "--code", f"{(int(code) + 1) % 1_000_000:06}")
        assert wrong.code == 3
        assert not list(machine.config.glob("profiles/*/vault.db"))

        machine.does(*signup, "--code", code)
        shown = machine.does("profile", "show", "--profile", "one", "--json").records[0]
        assert (shown["name"], shown["number"], shown["relay"]) == ("One", NUMBERS["one"], relay.address)

        again = machine.run(*signup)
        assert again.code == 2
        taken = machine.run(*signup[:1], "--profile", "other", *signup[3:])
        assert taken.code == 3


def test_two_people_meet_and_talk(two_people: Machine) -> None:
    """From a stranger's request to a verified contact, with every state and every field that scripts rely on."""
    machine = two_people
    sent = machine.does(
        "send", "--profile", "one", "--to", "+1 (202) 555-0144", "hello\ntwo", "--json"
    ).records
    assert [record["state"] for record in sent] == ["sent"]

    received = machine.does("receive", "--profile", "two", "--json", "--timeout", "20").records
    assert len(received) == 1
    message = received[0]
    assert message["text"] == "hello\ntwo"
    assert message["from"] == NUMBERS["one"]
    assert message["to"] == NUMBERS["two"]
    assert message["id"] == sent[0]["id"]
    assert message["request"] is True
    assert message["conversation"].startswith("uid:")
    assert _UUID.fullmatch(message["id"])
    assert _RFC3339.fullmatch(message["sent_at"])
    assert _RFC3339.fullmatch(message["received_at"])
    assert "state" not in message
    assert machine.does("receive", "--profile", "two").out == ""

    # A stranger learns nothing, whatever was printed; after the acceptance the receipts go out.
    history = ("history", "--profile", "one", "--json", "--with", NUMBERS["two"])
    machine.does("receive", "--profile", "one")
    assert machine.does(*history).records[0]["state"] == "sent"
    machine.does("contacts", "accept", "one", "--profile", "two")
    machine.does("send", "--profile", "two", "--to", "One", given="an answer from standard input\n")
    assert machine.receive_texts("one", 1) == ["an answer from standard input"]
    assert [(record["text"], record.get("state")) for record in machine.does(*history).records] == [
        ("hello\ntwo", "read"),
        ("an answer from standard input", None),
    ]

    digits = machine.does("verify", "--profile", "one", "Two", "--json").records[0]["safety_number"]
    shown = machine.does("verify", "--profile", "two", NUMBERS["one"]).out
    assert re.findall(r"\b\d{5}\b", shown) == re.findall(r"\d{5}", digits)
    assert machine.run("verify", "--profile", "one", "Two", "--confirm", digits[::-1]).code == 6
    assert machine.does("contacts", "--profile", "one", "--json").records[0]["trust"] == "first-use"
    machine.does("verify", "--profile", "one", "Two", "--confirm", digits)
    assert machine.does("contacts", "--profile", "one", "--json").records[0]["trust"] == "verified"
    machine.does("verify", "--profile", "one", "Two", "--undo")
    assert machine.does("contacts", "--profile", "one", "--json").records[0]["trust"] == "first-use"


def test_send_waits_for_the_other_person(two_people: Machine) -> None:
    """`--wait read` returns once a follower printed the message; in vain it ends with 4, and the message is safe."""
    machine = two_people
    in_vain = machine.run(
        "send", "--profile", "one", "--to", NUMBERS["two"], "ping", "--wait", "read", "--timeout", "2"
    )
    assert in_vain.code == 4
    machine.does("contacts", "add", NUMBERS["one"], "--name", "Uno", "--profile", "two")
    with machine.following("two") as follower:
        assert follower.next_text() == "ping"
        machine.does(
            "send", "--profile", "one", "--to", NUMBERS["two"], "pong", "--wait", "read", "--timeout", "60"
        )
        assert follower.next_text() == "pong"
        assert follower.interrupt() == 0


def test_messages_wait_for_those_who_are_away(two_people: Machine, relay: RelayServer) -> None:
    """What is sent to somebody absent arrives on their return, in order and once, across a restart of the relay."""
    machine = two_people
    texts = [f"message {number}" for number in range(1, 8)]
    machine.does("send", "--profile", "one", "--to", NUMBERS["two"], "--lines", given="\n".join(texts[:4]))
    relay.stop()
    queued = machine.run(
        "send", "--profile", "one", "--to", NUMBERS["two"], "--lines", "--json", given="\n".join(texts[4:])
    )
    assert queued.code == 4
    assert [record["state"] for record in queued.records] == ["queued"] * 3
    with machine.relay(port=relay.port) as restarted:
        assert restarted.address == relay.address
        # The next command that connects takes along what was queued.
        machine.does("receive", "--profile", "one")
        assert machine.receive_texts("two", 7) == texts
        assert machine.does("receive", "--profile", "two").out == ""
