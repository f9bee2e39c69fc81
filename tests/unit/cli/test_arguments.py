"""Reading the command line: global options on either side, values in their bounds, one error for everything wrong."""

from __future__ import annotations

import argparse
import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zap2.cli import arguments as reading
from zap2.cli.arguments import parse
from zap2.cli.commands import COMMANDS
from zap2.errors import UsageError


@pytest.mark.parametrize(
    "line",
    [
        ["--config-dir", "here", "history", "--limit", "3"],
        ["history", "--config-dir", "here", "--limit", "3"],
        ["history", "--limit", "3", "--config-dir", "here"],
        ["--config-dir", "there", "history", "--limit", "3", "--config-dir", "here"],
    ],
)
def test_global_options_stand_before_or_after_the_command(line: list[str]) -> None:
    """The one nearest to the end wins, and neither side forgets the other."""
    _, parsed = parse(["--passphrase-file", "secret", *line])
    assert (parsed.config_dir, parsed.passphrase_file, parsed.limit) == (Path("here"), "secret", 3)
    assert parsed.profile == "default"


def test_the_environment_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """ZAP2_CONFIG_DIR and ZAP2_PASSPHRASE_FILE count where no option is given."""
    monkeypatch.setenv("ZAP2_CONFIG_DIR", "from-environment")
    monkeypatch.setenv("ZAP2_PASSPHRASE_FILE", "secret")
    _, parsed = parse(["history"])
    assert (parsed.config_dir, parsed.passphrase_file) == (Path("from-environment"), "secret")
    assert parse(["history", "--config-dir", "given"])[1].config_dir == Path("given")


@pytest.mark.parametrize(
    "order", [["add", "+12025550143", "--name", "Bo"], ["add", "--name", "Bo", "+12025550143"]]
)
def test_options_stand_between_words_too(order: list[str]) -> None:
    """An option in the middle does not swallow the words after it."""
    _, parsed = parse(["contacts", *order])
    assert (parsed.action, parsed.words, parsed.name) == ("add", ["+12025550143"], "Bo")


@pytest.mark.parametrize("text", ["-1 is a number", "-x", "--text", "--help", "--", "-", "--to"])
def test_a_text_may_begin_with_a_hyphen(text: str) -> None:
    """After `--` everything is a word, also what would be an option."""
    _, parsed = parse(["send", "--to", "x", "--", text])
    assert (parsed.to, parsed.text) == ("x", text)


@pytest.mark.parametrize("option", ["--config-dir", "--data"])
@pytest.mark.parametrize("kind", ["empty", "file"])
def test_a_folder_is_no_file_and_has_a_name(tmp_path: Path, option: str, kind: str) -> None:
    """An empty path would be the folder one happens to be in."""
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(UsageError):
        parse(["serve", option, str(file) if kind == "file" else ""])


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`--help` of each command names the global options."""
    with pytest.raises(SystemExit) as end:
        parse([name, "--help"])
    assert end.value.code == 0
    assert "--config-dir" in capsys.readouterr().out


@given(
    st.sampled_from([*COMMANDS, ""]),
    st.lists(
        st.one_of(st.text(max_size=12), st.sampled_from(["--", "--to", "--json", "-x", "add"])), max_size=5
    ),
)
def test_any_words_give_a_command_or_a_usage_error(command: str, words: list[str]) -> None:
    """Whatever is typed, there is no other exception."""
    with contextlib.suppress(UsageError, SystemExit):
        parse([command, *words])


@pytest.mark.parametrize("text", ["", "-1", "nan", "inf", "1e30", "soon"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    """Durations are finite and not negative."""
    with pytest.raises(argparse.ArgumentTypeError):
        reading.seconds(text)


@pytest.mark.parametrize(
    ("read", "text"), [(reading.port, "65536"), (reading.port, "-1"), (reading.count, "0")]
)
def test_numbers_have_bounds(read: type[int], text: str) -> None:
    """A port fits 16 bits, a count begins at 1."""
    with pytest.raises(argparse.ArgumentTypeError):
        read(text)
