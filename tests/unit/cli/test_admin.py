"""What `zap2 admin` tells a host: figures that explain themselves, and which word a command still needs."""

from __future__ import annotations

from pathlib import Path

import pytest

from zap2.cli import admin
from zap2.cli.admin_words import STATS_MEAN, accounts_words, quota_words, stats_words
from zap2.cli.arguments import parse
from zap2.errors import UsageError
from zap2.server.backup import restore
from zap2.server.options import RelayOptions
from zap2.server.relay import Relay

_README = Path(__file__).resolve().parents[3] / "README.md"


async def test_every_figure_says_what_it_is() -> None:
    """Guards figures that are added later, too."""
    async with Relay(RelayOptions(port=0)) as relay:
        stats = await relay.operator.stats()
    assert stats.keys() == STATS_MEAN.keys()
    for line in stats_words(stats).splitlines():
        name, _, meaning = line.split(None, 2)
        assert meaning == STATS_MEAN[name]


def test_refusals_are_listed_by_reason_below_their_sum() -> None:
    lines = stats_words({"refused": {"wrong-code": 2, "rate-limited": 11}, "up_s": 5}).splitlines()
    assert [line.split()[:2] for line in lines] == [
        ["up_s", "5"],
        ["refused", "13"],
        ["11", "rate-limited"],
        ["2", "wrong-code"],
    ]


def test_accounts_have_a_header_above_their_columns() -> None:
    account = {"uid": "a" * 52, "active_day": 0, "envelopes": 12, "size_b": 2048, "is_online": True}
    marks = {"is_listed": False, "is_blocked": False, "has_pin": True, "has_number": True}
    header, row = accounts_words([account | marks]).splitlines()
    for title, value in (("ACCOUNT", "aaa"), ("LAST USED", "1970-01-01"), ("MARKS", "online unlisted PIN")):
        assert row[header.index(title) :].startswith(value)
    for title, value in (("MESSAGES", "12"), ("SIZE", "2 KiB")):
        assert row[: header.index(title) + len(title)].endswith(value)


def test_an_account_without_a_number_is_marked() -> None:
    account = {"uid": "a" * 52, "active_day": 0, "envelopes": 0, "size_b": 0, "is_online": False}
    marks = {"is_listed": True, "is_blocked": False, "has_pin": False}
    _, row, lost = accounts_words(
        [account | marks | {"has_number": has} for has in (True, False)]
    ).splitlines()
    assert "number" not in row
    assert lost.endswith("  no number")


def test_a_quota_names_both_bounds() -> None:
    assert "at most 10,000 (the relay's bound) messages that wait, and 16 MiB;" in quota_words("u", None, 16)
    assert "at most 5 messages that wait, and 64 MiB (the relay's bound);" in quota_words("u", 5, None)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("block",), "needs WHO: a phone number"),
        (("quota", "--mib", "3"), "needs WHO"),
        (("backup",), "needs FILE: where to write"),
        (("restore",), "needs FILE: the backup"),
        (("stats", "more"), "takes nothing more"),
        (("invite", "--count", "101"), "at most 100"),
    ],
)
def test_what_is_missing_is_named(words: tuple[str, ...], said: str) -> None:
    """Guards the one word that is a person with some commands and a file with others."""
    module, arguments = parse(["admin", *words])
    with pytest.raises(UsageError, match=said):
        module.run(arguments)


def test_a_backup_that_is_not_there_is_not_called_damaged(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        restore(tmp_path / "missing.tar", tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_the_readme_names_every_action() -> None:
    (row,) = [line for line in _README.read_text().splitlines() if line.startswith("| `zap2 admin`")]
    assert [action for action in admin.ACTIONS if action not in row] == []


@pytest.mark.parametrize("command", ["admin", "serve"])
def test_a_host_is_told_that_a_relay_has_no_profile_and_may_name_one(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Guards a help that a host reads: what is of no use to a relay is said to be so, and still taken."""
    with pytest.raises(SystemExit):
        parse([command, "--help"])
    assert "Of no use here" in capsys.readouterr().out
    _, arguments = parse([command, *["stats"] * (command == "admin"), "--config-dir", "x"])
    assert arguments.config_dir == Path("x")


def test_the_help_of_serve_leads_a_host_who_knows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """Guards what must be known before the first start: examples, who gets in, where codes are, what to keep."""
    with pytest.raises(SystemExit):
        parse(["serve", "--help"])
    words = " ".join(capsys.readouterr().out.split())
    for said in (
        "examples: zap2 serve",
        "who may sign up:",
        "you tell it to them",
        "back it up (`zap2 admin backup`)",
    ):
        assert said in words


def test_the_help_of_admin_explains_every_action(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["admin", "--help"])
    lines = capsys.readouterr().out.splitlines()
    for action in admin.ACTIONS:
        (line,) = [line for line in lines if line.startswith(f"  {action} ")]
        assert len(line.split()) > 3
