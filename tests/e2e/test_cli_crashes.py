"""Processes that are killed, and pipes that close: nothing acknowledged is lost, nothing is shown twice."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.e2e.commands import NUMBERS, Machine, RelayServer, ended


def test_a_relay_killed_after_its_answer_keeps_the_message(two_people: Machine, relay: RelayServer) -> None:
    """`send` ended with 0, so the message is there, whatever happens to the relay's process a moment later."""
    machine = two_people
    for number in range(3):
        machine.does("send", "--profile", "one", "--to", NUMBERS["two"], f"safe {number}")
    relay.kill()
    with machine.relay(port=relay.port):
        assert machine.receive_texts("two", 3) == ["safe 0", "safe 1", "safe 2"]


def test_a_client_killed_while_sending_in_bulk_loses_and_repeats_nothing(two_people: Machine) -> None:
    """What was printed as sent arrives; what arrives is an unbroken beginning of what was given, each text once."""
    machine = two_people
    texts = [f"line {number}" for number in range(400)]
    process = machine.start(
        *("send", "--profile", "one", "--to", NUMBERS["two"], "--lines", "--json"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with ended(process):
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("\n".join(texts).encode())
        process.stdin.flush()
        acknowledged = [json.loads(process.stdout.readline())["text"] for _ in range(25)]
        process.kill()
    # The vault is not harmed, and the next command sends what was stored and not answered for.
    stored = [
        record["text"]
        for record in machine.does("history", "--profile", "one", "--limit", "500", "--json").records
    ]
    assert stored == texts[: len(stored)]
    assert len(stored) < len(texts)
    assert set(acknowledged) <= set(stored)
    machine.does("send", "--profile", "one", "--to", NUMBERS["two"], "the last one")
    assert machine.receive_texts("two", len(stored) + 1) == [*stored, "the last one"]
    assert machine.does("receive", "--profile", "two").out == ""


def test_a_reader_that_goes_away_is_no_error(two_people: Machine) -> None:
    """`receive | head -1` prints a line and ends in peace; what was not written stays unread."""
    machine = two_people
    texts = [f"{number:03}" + "x" * 20_000 for number in range(12)]
    machine.does("send", "--profile", "one", "--to", NUMBERS["two"], "--lines", given="\n".join(texts))
    reader = machine.start(
        "receive", "--profile", "two", "--json", stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    with ended(reader):
        assert reader.stdout is not None
        assert reader.stderr is not None
        first = json.loads(reader.stdout.readline())
        reader.stdout.close()
        assert reader.wait(timeout=60) == 0
        assert reader.stderr.read() == b""
    assert first["text"] == texts[0]
    left = machine.receive_texts("two", 1)
    assert left == texts[-len(left) :]
    assert len(left) < len(texts)


def test_the_interpreter_says_nothing_at_its_end(machine: Machine) -> None:
    """A closed standard output gives neither a traceback nor an `Exception ignored`."""
    environment = machine.environment
    shell = f"{sys.executable} -m zap2 --help | true"
    done = subprocess.run(["sh", "-c", shell], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
