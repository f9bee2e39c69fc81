"""The key file: the right passphrase opens it, everything else is told apart and changes nothing."""

from __future__ import annotations

import hashlib
import os
import struct
import sys
from pathlib import Path

import pytest

from zap2.errors import ProfileExists, UsageError, VaultDamaged, VaultError, VaultTooNew, WrongPassphrase
from zap2.vault.keyfile import KdfParameters, create_keyfile, open_keyfile, rewrap

PASSPHRASE = "correct horse"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes]:
    """A key file's bytes and the key in it."""
    path = tmp_path_factory.mktemp("key") / "vault.key"
    key = create_keyfile(path, PASSPHRASE, os.urandom)
    return path.read_bytes(), key


@pytest.fixture
def path(tmp_path: Path, whole: tuple[bytes, bytes]) -> Path:
    path = tmp_path / "vault.key"
    path.write_bytes(whole[0])
    return path


def test_the_passphrase_opens_it_and_the_key_is_not_in_it(path: Path, whole: tuple[bytes, bytes]) -> None:
    content, key = whole
    assert open_keyfile(path, PASSPHRASE) == key
    assert len(key) == 32
    assert key not in content
    assert PASSPHRASE.encode() not in content


def test_the_key_comes_from_the_given_randomness_and_each_file_has_its_own_salt(tmp_path: Path) -> None:
    key = create_keyfile(tmp_path / "a", PASSPHRASE, lambda n: b"\x07" * n)
    assert key == b"\x07" * 32
    first = create_keyfile(tmp_path / "b", PASSPHRASE, os.urandom)
    assert first != create_keyfile(tmp_path / "c", PASSPHRASE, os.urandom)
    assert (tmp_path / "b").read_bytes()[22:38] != (tmp_path / "c").read_bytes()[22:38]


@pytest.mark.parametrize("wrong", ["correct horsE", "correct horse ", "", "\ud800"])
def test_a_wrong_passphrase_is_told_and_changes_nothing(path: Path, wrong: str) -> None:
    before = path.read_bytes(), path.stat().st_mtime_ns, os.listdir(path.parent)
    with pytest.raises(WrongPassphrase):
        open_keyfile(path, wrong)
    with pytest.raises(WrongPassphrase):
        rewrap(path, wrong, "another", os.urandom)
    assert (path.read_bytes(), path.stat().st_mtime_ns, os.listdir(path.parent)) == before


def test_the_same_letters_composed_differently_are_the_same_passphrase(tmp_path: Path) -> None:
    key = create_keyfile(tmp_path / "k", "Schl\u00fcssel", os.urandom)
    assert open_keyfile(tmp_path / "k", "Schlu\u0308ssel") == key


@pytest.mark.parametrize("passphrase", ["", "\udcff"])
def test_an_empty_or_unreadable_passphrase_is_refused(tmp_path: Path, path: Path, passphrase: str) -> None:
    with pytest.raises(UsageError):
        create_keyfile(tmp_path / "new", passphrase, os.urandom)
    assert not (tmp_path / "new").exists()
    before = path.read_bytes()
    with pytest.raises(UsageError):
        rewrap(path, PASSPHRASE, passphrase, os.urandom)
    assert path.read_bytes() == before


def test_every_truncation_is_damage(path: Path, whole: tuple[bytes, bytes]) -> None:
    for length in range(len(whole[0])):
        path.write_bytes(whole[0][:length])
        with pytest.raises(VaultDamaged):
            open_keyfile(path, PASSPHRASE)
        assert path.read_bytes() == whole[0][:length]


def test_every_flipped_bit_is_damage_and_never_a_wrong_passphrase(
    path: Path, whole: tuple[bytes, bytes]
) -> None:
    for position in range(len(whole[0])):
        changed = bytearray(whole[0])
        changed[position] ^= 1 << position % 8
        path.write_bytes(changed)
        with pytest.raises(VaultDamaged):
            open_keyfile(path, PASSPHRASE)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello",
        b"\x00" * 154,
        os.urandom(154),
        b"Zap2.key" + b"\x00" * 70_000,
        b"SQLite format 3\x00" * 300,
    ],
)
def test_a_foreign_file_is_damage(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(VaultDamaged):
        open_keyfile(path, PASSPHRASE)
    assert path.read_bytes() == content


def test_a_missing_file_is_damage_and_a_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(VaultDamaged, match="missing"):
        open_keyfile(tmp_path / "vault.key", PASSPHRASE)
    with pytest.raises(VaultError):
        open_keyfile(tmp_path, PASSPHRASE)


def test_a_newer_version_is_told_whatever_it_contains(path: Path, whole: tuple[bytes, bytes]) -> None:
    content = _sealed_again(b"Zap2.key" + struct.pack(">H", 2) + b"of another shape" * 20)
    path.write_bytes(content)
    with pytest.raises(VaultTooNew):
        open_keyfile(path, PASSPHRASE)
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    ("memory_kib", "iterations", "lanes"),
    [
        (2**32 - 1, 3, 4),
        (2**21 + 1, 3, 4),
        (2**21, 2**32 - 1, 4),
        (2**21, 5, 4),
        (64 * 1024, 3, 2**32 - 1),
        (8, 3, 4),
        (0, 0, 0),
        (64 * 1024, 2, 4),
        (64 * 1024, 3, 1),
    ],
)
def test_a_file_that_asks_for_absurd_work_is_refused_before_any_is_done(
    path: Path, whole: tuple[bytes, bytes], memory_kib: int, iterations: int, lanes: int
) -> None:
    body = whole[0][:10] + struct.pack(">III", memory_kib, iterations, lanes) + whole[0][22:-32]
    path.write_bytes(_sealed_again(body))
    with pytest.raises(VaultDamaged, match="work"):
        open_keyfile(path, PASSPHRASE)
    with pytest.raises(ValueError, match="bounds"):
        KdfParameters(memory_kib, iterations, lanes)


def test_the_parameters_are_authenticated(path: Path, whole: tuple[bytes, bytes]) -> None:
    """Other parameters under a right checksum do not open, with the right passphrase either."""
    body = whole[0][:10] + struct.pack(">III", 64 * 1024, 4, 4) + whole[0][22:-32]
    path.write_bytes(_sealed_again(body))
    with pytest.raises(WrongPassphrase):
        open_keyfile(path, PASSPHRASE)


def test_rewrapping_keeps_the_key_and_ends_the_old_passphrase(path: Path, whole: tuple[bytes, bytes]) -> None:
    rewrap(path, PASSPHRASE, "new words", os.urandom, KdfParameters(64 * 1024, 4, 4))
    assert open_keyfile(path, "new words") == whole[1]
    with pytest.raises(WrongPassphrase):
        open_keyfile(path, PASSPHRASE)
    assert os.listdir(path.parent) == ["vault.key"]


def test_a_file_that_is_there_is_never_overwritten(path: Path, whole: tuple[bytes, bytes]) -> None:
    with pytest.raises(ProfileExists):
        create_keyfile(path, PASSPHRASE, os.urandom)
    assert path.read_bytes() == whole[0]


def test_a_failed_write_leaves_the_old_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a full disk: the content could not be brought to the disk, so it never takes the name."""
    before = path.read_bytes()

    def no_space(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(VaultError, match="No space"):
        rewrap(path, PASSPHRASE, "new words", os.urandom)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == ["vault.key"]


def test_neither_passphrase_nor_key_is_in_an_error(path: Path) -> None:
    with pytest.raises(WrongPassphrase) as caught:
        open_keyfile(path, "my secret words")
    assert "secret" not in repr(caught.value) + str(caught.value) + caught.value.hint
    assert caught.value.exit_code == 5


def test_the_file_is_private_whatever_the_umask(tmp_path: Path) -> None:
    if sys.platform == "win32":
        return
    before = os.umask(0)
    try:
        create_keyfile(tmp_path / "k", PASSPHRASE, os.urandom)
    finally:
        os.umask(before)
    assert (tmp_path / "k").stat().st_mode & 0o777 == 0o600


def _sealed_again(body: bytes) -> bytes:
    return body + hashlib.sha256(body).digest()
