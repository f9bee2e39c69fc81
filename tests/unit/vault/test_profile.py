"""A profile's folder: names, modes, half-made vaults, and one owner at a time."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from zap2.errors import NoProfile, ProfileExists, ProfileInUse, UsageError, VaultDamaged, VaultError
from zap2.vault.container import create_database, open_database
from zap2.vault.keyfile import create_keyfile, open_keyfile
from zap2.vault.profile import ProfileFolder, default_config_dir


def _make_vault(folder: ProfileFolder) -> bytes:
    """Make a vault whose passphrase is "words"."""
    folder.create()
    key = create_keyfile(folder.keyfile, "words", os.urandom)
    create_database(folder.database, key).close()
    folder.unlock()
    return key


@pytest.mark.parametrize("name", ["a", "anna-2", "work.laptop", "0_0", "a" * 32, "console"])
def test_usual_names_are_taken(tmp_path: Path, name: str) -> None:
    assert ProfileFolder(tmp_path, name).path == tmp_path / "profiles" / name


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../x",
        "a/b",
        "a\\b",
        "Anna",
        "a b",
        "a\n",
        "-a",
        ".a",
        "a.",
        "é",
        "a" * 33,
        "con",
        "nul.x",
        "a\x00",
    ],
)
def test_names_that_are_unsafe_as_a_folder_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError):
        ProfileFolder(tmp_path, name)


def test_a_vault_is_made_in_private_folders_and_found_again(tmp_path: Path) -> None:
    config_dir = tmp_path / "config"
    before = os.umask(0)
    try:
        folder = ProfileFolder(config_dir, "one")
        assert not folder.exists
        key = _make_vault(folder)
    finally:
        os.umask(before)
    assert ProfileFolder(config_dir, "one").exists
    assert sorted(os.listdir(folder.path)) == ["vault.db", "vault.key", "vault.lock"]
    assert open_keyfile(folder.keyfile, "words") == key
    open_database(folder.database, key).close()
    if sys.platform != "win32":
        assert {path.stat().st_mode & 0o777 for path in (config_dir, folder.path.parent, folder.path)} == {
            0o700
        }
        assert {file.stat().st_mode & 0o777 for file in folder.path.iterdir()} == {0o600}


def test_looking_at_a_profile_that_is_not_there_makes_nothing(tmp_path: Path) -> None:
    folder = ProfileFolder(tmp_path, "one")
    assert not folder.exists
    with pytest.raises(NoProfile):
        folder.lock()
    assert os.listdir(tmp_path) == []


def test_a_whole_vault_is_not_made_again(tmp_path: Path) -> None:
    folder = ProfileFolder(tmp_path, "one")
    _make_vault(folder)
    before = folder.keyfile.read_bytes(), folder.database.read_bytes()
    with pytest.raises(ProfileExists):
        folder.create()
    assert (folder.keyfile.read_bytes(), folder.database.read_bytes()) == before
    assert not folder.is_locked


def test_a_set_up_that_was_cut_off_is_set_aside_and_made_anew(tmp_path: Path) -> None:
    """A crash between key file and database must not lock the person out of the profile's name."""
    folder = ProfileFolder(tmp_path, "one")
    left = []
    for _ in range(2):
        folder.create()
        create_keyfile(folder.keyfile, "words", os.urandom)
        left.append(folder.keyfile.read_bytes())
        folder.unlock()
        assert not folder.exists
    key = _make_vault(folder)
    with closing(open_database(folder.database, key)):
        assert folder.exists
    aside = [(folder.path / f"vault.key.unfinished-{number}").read_bytes() for number in (1, 2)]
    assert aside == left


def test_a_lost_key_file_is_told_and_the_database_kept(tmp_path: Path) -> None:
    folder = ProfileFolder(tmp_path, "one")
    _make_vault(folder)
    folder.keyfile.unlink()
    before = folder.database.read_bytes()
    assert folder.exists
    with pytest.raises(VaultDamaged, match="lost"):
        folder.create()
    with pytest.raises(VaultDamaged, match="missing"):
        open_keyfile(folder.keyfile, "words")
    assert folder.database.read_bytes() == before


def test_one_owner_at_a_time_in_one_process(tmp_path: Path) -> None:
    first, second = ProfileFolder(tmp_path, "one"), ProfileFolder(tmp_path, "one")
    _make_vault(first)
    first.lock()
    first.lock()
    with pytest.raises(ProfileInUse):
        second.lock()
    with pytest.raises(ProfileInUse):
        second.create()
    second.unlock()
    assert first.is_locked
    first.unlock()
    second.lock()
    second.unlock()


def test_another_process_is_refused_until_the_owner_ends_however_that_comes(tmp_path: Path) -> None:
    folder = ProfileFolder(tmp_path, "one")
    _make_vault(folder)
    owner = subprocess.Popen(
        [sys.executable, "-c", _OWNER, str(tmp_path)],
        stdout=subprocess.PIPE,
        stdin=subprocess.PIPE,
        text=True,
    )
    assert owner.stdout is not None
    assert owner.stdout.readline() == "locked\n"
    with pytest.raises(ProfileInUse):
        folder.lock()
    owner.kill()
    owner.communicate(timeout=30)
    folder.lock()
    refused = subprocess.run(
        [sys.executable, "-c", _OWNER, str(tmp_path)], capture_output=True, text=True, timeout=60, check=False
    )
    assert refused.returncode == 7
    folder.unlock()


_OWNER = """
import sys
from pathlib import Path
from zap2.errors import ProfileInUse
from zap2.vault.profile import ProfileFolder
folder = ProfileFolder(Path(sys.argv[1]), "one")
try:
    folder.lock()
except ProfileInUse as error:
    sys.exit(error.exit_code)
print("locked", flush=True)
sys.stdin.read()
"""


def test_a_lock_file_that_a_dead_owner_left_does_not_matter(tmp_path: Path) -> None:
    folder = ProfileFolder(tmp_path, "one")
    _make_vault(folder)
    assert (folder.path / "vault.lock").exists()
    folder.lock()
    folder.unlock()


def test_a_place_that_cannot_hold_a_profile_is_an_error_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(VaultError, match="cannot be made"):
        ProfileFolder(tmp_path / "file", "one").create()


def test_the_usual_place_is_the_systems(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert default_config_dir().name == "zap2"
    assert ProfileFolder(None, "one").path == default_config_dir() / "profiles" / "one"
