"""Where a passphrase comes from, and where it never does."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import pytest

from zap2.cli.passphrase import read_new_passphrase, read_passphrase
from zap2.errors import UsageError


def _from_file(path: Path) -> argparse.Namespace:
    return argparse.Namespace(passphrase_fd=None, passphrase_file=str(path))


@pytest.mark.parametrize(
    ("content", "passphrase"),
    [
        (b"secret\n", "secret"),
        (b"secret", "secret"),
        (b"secret\r\n", "secret"),
        (b"secret\n\n", "secret\n"),
        (b" spaces count \n", " spaces count "),
        ("sésame\n".encode(), "sésame"),
    ],
)
def test_one_line_break_at_the_end_is_not_part_of_it(tmp_path: Path, content: bytes, passphrase: str) -> None:
    """What an editor adds goes; everything else stays."""
    path = tmp_path / "passphrase"
    path.write_bytes(content)
    path.chmod(0o600)
    assert read_passphrase(_from_file(path)) == passphrase


@pytest.mark.parametrize(("mode", "is_open"), [(0o600, False), (0o640, True), (0o604, True)])
def test_a_file_that_others_can_read_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], mode: int, is_open: bool
) -> None:
    """The warning goes to standard error and does not hold the passphrase."""
    path = tmp_path / "passphrase"
    path.write_bytes(b"secret\n")
    path.chmod(mode)
    read_passphrase(_from_file(path))
    written = capsys.readouterr()
    assert written.out == ""
    assert ("others can read" in written.err) is is_open
    assert "secret" not in written.err


def test_a_descriptor_goes_before_a_file(tmp_path: Path) -> None:
    """`--passphrase-fd` is read to its end and left open."""
    reading, writing = os.pipe()
    os.write(writing, b"from the pipe\n")
    os.close(writing)
    given = argparse.Namespace(passphrase_fd=reading, passphrase_file=str(tmp_path / "missing"))
    assert read_passphrase(given) == "from the pipe"
    os.close(reading)


@pytest.mark.parametrize("content", [b"\xff\xfe", b"x" * 5000])
def test_what_is_no_passphrase_is_refused(tmp_path: Path, content: bytes) -> None:
    """Bytes that are no text, and a file that was surely meant for something else."""
    path = tmp_path / "passphrase"
    path.write_bytes(content)
    with pytest.raises(UsageError):
        read_passphrase(_from_file(path))


def test_a_new_passphrase_is_not_empty(tmp_path: Path) -> None:
    """An empty file protects nothing."""
    path = tmp_path / "passphrase"
    path.write_bytes(b"\n")
    with pytest.raises(UsageError):
        read_new_passphrase(_from_file(path))


def test_a_missing_file_and_a_closed_descriptor_are_told(tmp_path: Path) -> None:
    """Both are the person's to mend."""
    with pytest.raises(UsageError):
        read_passphrase(_from_file(tmp_path / "missing"))
    reading, writing = os.pipe()
    os.close(reading)
    os.close(writing)
    with pytest.raises(UsageError):
        read_passphrase(argparse.Namespace(passphrase_fd=reading, passphrase_file=None))


@pytest.mark.parametrize(("passphrase", "is_weak"), [("abc", True), ("correct horse battery staple", False)])
def test_a_weak_one_is_taken_and_said_to_be_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], passphrase: str, is_weak: bool
) -> None:
    """Scripts go on; the person is told, and only of a weak one."""
    path = tmp_path / "passphrase"
    path.write_text(passphrase)
    path.chmod(0o600)
    assert read_new_passphrase(_from_file(path)) == passphrase
    assert ("weak" in capsys.readouterr().err) is is_weak
