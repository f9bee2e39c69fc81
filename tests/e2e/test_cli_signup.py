"""`zap2 signup` after a mistake: a code that was right is not asked for again, and what is unfinished looks it."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.commands import NUMBERS, Machine, RelayServer, wait_until


def _arguments(relay: RelayServer, profile: str) -> tuple[str, ...]:
    return (
        *("signup", "--profile", profile, "--relay", relay.address),
        *("--phone", NUMBERS["one"], "--name", "One"),
    )


def _code(relay: RelayServer) -> str:
    wait_until(lambda: len(relay.codes) == 1, "the code in the relay's log")
    return relay.codes[0]


def _secret_file(machine: Machine, name: str, secret: str) -> str:
    path: Path = machine.folder / name
    path.write_text(secret)
    path.chmod(0o600)
    return str(path)


def _finished(machine: Machine) -> dict[str, bool]:
    listed = machine.does("profile", "list", "--json").records
    return {record["profile"]: record["finished"] for record in listed}


def test_a_right_code_outlives_a_wrong_invite(machine: Machine) -> None:
    """The invite was used by somebody else meanwhile: a second invite is all that is asked for."""
    with machine.relay("--verify", "log", "--registration", "invite") as relay:
        data = str(machine.folder / "relay")
        good = machine.does("admin", "invite", "--data", data, "--json").out
        invite = good.strip('[]"\n ')
        signup = _arguments(relay, "one")
        asked = machine.run(*signup, "--invite", invite)
        assert (asked.code, "--code" in asked.err) == (1, True)
        code = _code(relay)
        refused = machine.run(*signup, "--code", code, "--invite", "abcd-abcd-abcd-abcd")
        assert (refused.code, "invite" in refused.err) == (3, True)

        assert _finished(machine) == {"one": False}
        told = machine.does("profile", "list")
        assert (told.out, "not finished" in told.err) == ("one\n", True)
        shown = machine.does("profile", "show", "--profile", "one")
        assert "finished no: the relay has no such account yet" in shown.out

        machine.does(*signup, "--code", code, "--invite", invite)
        assert _finished(machine) == {"one": True}
        assert "finished yes" in machine.does("profile", "show", "--profile", "one").out
        assert machine.does("profile", "list").err == ""


def test_a_right_code_outlives_a_wrong_pin(machine: Machine) -> None:
    """Whoever takes a number over gives the code once, however often the PIN is wrong."""
    with machine.relay("--verify", "none") as relay:
        machine.does(*_arguments(relay, "old"))
        right = _secret_file(machine, "right", "4711")
        machine.does("profile", "pin", "--profile", "old", "--pin-file", right)
        relay.stop()
    with machine.relay("--verify", "log", port=relay.port) as relay:
        signup = _arguments(relay, "new")
        assert machine.run(*signup).code == 1
        code = _code(relay)
        assert machine.run(*signup, "--code", code).code == 3
        wrong = machine.run(*signup, "--code", code, "--pin-file", _secret_file(machine, "wrong", "0815"))
        assert (wrong.code, "PIN" in wrong.err) == (3, True)
        machine.does(*signup, "--pin-file", right)


def test_within_the_wait_the_code_that_is_out_is_named(machine: Machine) -> None:
    """A second run without --code is refused, and says that the first code is good."""
    with machine.relay("--verify", "log") as relay:
        signup = _arguments(relay, "one")
        assert machine.run(*signup).code == 1
        again = machine.run(*signup)
        assert (again.code, "give it with --code" in again.err) == (3, True)
        assert machine.run(*signup, "--code", "x", given=b"\xff\n").code == 3
        machine.does(*signup, "--code", _code(relay))


def test_a_code_that_is_no_text_is_not_used_wrongly(machine: Machine) -> None:
    """Exit code 2 says that nothing was done; here a code was issued."""
    with machine.relay("--verify", "log") as relay:
        refused = machine.run(*_arguments(relay, "one"), given=b"\xff\n")
        assert (refused.code, "--code" in refused.err) == (1, True)
