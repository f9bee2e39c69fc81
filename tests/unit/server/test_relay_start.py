"""What keeps a relay from starting is said in one clear line, as a UsageError (exit code 2)."""

from __future__ import annotations

import os
import sqlite3
import stat
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Address
from pathlib import Path
from typing import Final

import pytest

from zap2.errors import UsageError
from zap2.server.datadir import DATABASE_FILE, claim
from zap2.server.keys import HASHING_FILE, IDENTITY_FILE, load_keys
from zap2.server.options import RelayOptions
from zap2.server.relay import Relay
from zap2.server.serve import invitation, public_address
from zap2.server.store.schema import connect

_FP = "a" * 32
_EVERYWHERE = str(IPv4Address(0))


async def _start(**options: object) -> UsageError:
    relay = Relay(RelayOptions(**{"port": 0, **options}))  # type: ignore[arg-type]  # a test's shorthand
    with pytest.raises(UsageError) as caught:
        await relay.start()
    assert "\n" not in str(caught.value)
    return caught.value


async def test_a_port_in_use() -> None:
    async with Relay(RelayOptions(port=0)) as relay:
        error = await _start(port=relay.port)
        assert f"Port {relay.port}" in str(error)
        assert "--port" in error.hint


async def test_a_port_in_use_leaves_nothing_behind(tmp_path: Path) -> None:
    """Guards the order: the port first, so that no key is made for a relay that never was."""
    async with Relay(RelayOptions(port=0)) as relay:
        await _start(port=relay.port, data_dir=tmp_path / "new")
    assert not (tmp_path / "new").exists()


async def test_what_is_wrong_in_the_options_leaves_nothing_behind(tmp_path: Path) -> None:
    """Guards hosts who mistyped: the next start is the first one, and no key of a relay that never was lies about."""
    new = tmp_path / "new"
    async with Relay(RelayOptions(port=0, metrics_port=0)) as relay:
        assert "monitoring is in use" in str(await _start(metrics_port=relay.metrics_port, data_dir=new))
    await _start(tls_cert=tmp_path / "missing", tls_key=tmp_path / "missing", data_dir=new)
    assert "--store" in str(await _start(store="mysql://db", data_dir=new))
    assert "--tokens" in str(await _start(tokens="memcached://db", data_dir=new))
    assert not new.exists()


async def test_a_folder_that_everybody_can_write_gets_no_keys(tmp_path: Path) -> None:
    """Guards hosts who name /tmp or a shared folder: others there could put keys of their own in place."""
    folder = tmp_path / "shared"
    folder.mkdir()
    for name, mode in (("", 0o1777), ("somebody's file", 0o1777), ("somebody's file", 0o777)):
        if name:
            (folder / name).write_text("")
        folder.chmod(mode)
        for options in ({"data_dir": folder}, {"data_dir": tmp_path / "data", "keys_dir": folder}):
            store = {"store": "postgresql://127.0.0.1:1/x"} if "keys_dir" in options else {}
            error = await _start(**options, **store)
            assert "Every user of this machine can write" in str(error)
            assert "chmod o-w" in error.hint
        assert [path.name for path in folder.iterdir()] == [name] * bool(name)
        assert stat.S_IMODE(folder.stat().st_mode) == mode


_POSIX: Final = pytest.mark.skipif(os.name != "posix", reason="other systems have no such rights")
_AS_ROOT: Final = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give files away"
)


def _all_of(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    found = {}
    for path in sorted((folder, *folder.rglob("*"))):
        about = path.stat()
        content = path.read_bytes() if path.is_file() else b""
        found[str(path.relative_to(folder))] = (about.st_mode, about.st_uid, content)
    return found


def _planted(folder: Path) -> Path:
    """Make what looks like a relay's folder."""
    folder.mkdir(mode=0o700)
    connect(str(folder / DATABASE_FILE)).close()
    load_keys(folder, os.urandom)
    for path in folder.iterdir():
        path.chmod(0o600)
    return folder


@_POSIX
@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o703])
async def test_a_relay_that_was_planted_where_everybody_can_write_is_not_taken(
    tmp_path: Path, mode: int
) -> None:
    """Guards hosts who name a shared folder: whoever put a database and keys there would know the relay's secrets."""
    folder = _planted(tmp_path / "shared")
    folder.chmod(mode)
    before = _all_of(folder)
    assert "Every user of this machine can write" in str(await _start(data_dir=folder))
    with pytest.raises(UsageError, match="Every user of this machine can write"):
        load_keys(None, os.urandom, folder)
    assert _all_of(folder) == before


@_POSIX
@pytest.mark.parametrize("name", [IDENTITY_FILE, HASHING_FILE, DATABASE_FILE])
async def test_files_that_everybody_can_write_are_not_taken(tmp_path: Path, name: str) -> None:
    folder = _planted(tmp_path / "data")
    folder.chmod(0o750)
    (folder / name).chmod(0o606)
    before = _all_of(folder)
    error = await _start(data_dir=folder)
    assert f"can write the file {folder / name}" in str(error)
    assert "chmod o-w" in error.hint
    if name != DATABASE_FILE:
        with pytest.raises(UsageError, match="can write the file"):
            load_keys(None, os.urandom, folder)
    assert _all_of(folder) == before


@_AS_ROOT
@pytest.mark.parametrize("name", [IDENTITY_FILE, HASHING_FILE, DATABASE_FILE])
async def test_files_of_somebody_else_are_not_taken(tmp_path: Path, name: str) -> None:
    folder = _planted(tmp_path / "data")
    os.chown(folder / name, 10_001, 10_001)
    before = _all_of(folder)
    assert f"{folder / name} belongs to another user" in str(await _start(data_dir=folder))
    assert _all_of(folder) == before


@_AS_ROOT
@pytest.mark.parametrize("is_full", [False, True])
async def test_a_folder_that_somebody_made_where_everybody_can_is_not_taken(
    tmp_path: Path, is_full: bool
) -> None:
    """As /tmp/relay, made by another user, when root hosts."""
    (tmp_path / "tmp").mkdir()
    (tmp_path / "tmp").chmod(0o1777)
    folder = tmp_path / "tmp" / "relay"
    if is_full:
        _planted(folder)
    else:
        folder.mkdir()
    for path in (folder, *folder.iterdir()):
        os.chown(path, 10_001, 10_001)
    before = _all_of(folder)
    assert "belongs to another user" in str(await _start(data_dir=folder))
    assert _all_of(folder) == before


@_POSIX
@pytest.mark.parametrize("mode", [0o700, 0o750, 0o755])
async def test_folders_of_relays_that_are_closed_go_on_being_used(tmp_path: Path, mode: int) -> None:
    folder = _planted(tmp_path / "data")
    folder.chmod(mode)
    async with Relay(RelayOptions(port=0, data_dir=folder)) as relay:
        assert relay.fingerprint == load_keys(folder, os.urandom).fingerprint
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@_AS_ROOT
@pytest.mark.parametrize("is_full", [False, True])
async def test_root_looks_after_the_relay_of_another_user(tmp_path: Path, is_full: bool) -> None:
    """As `sudo zap2 admin move` on the folder of a systemd service, or a container's volume."""
    folder = tmp_path / "data"
    if is_full:
        _planted(folder)
    else:
        folder.mkdir()
    for path in (folder, *folder.iterdir()):
        os.chown(path, 10_001, 10_001)
    async with Relay(RelayOptions(port=0, data_dir=folder)):
        pass


@_POSIX
def test_an_empty_folder_that_everybody_could_write_is_closed_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new volume; and whoever puts something into it at the last moment has done it in vain."""
    volume = tmp_path / "volume"
    volume.mkdir()
    volume.chmod(0o777)
    claim(volume).release()
    assert stat.S_IMODE(volume.stat().st_mode) == 0o700

    raced, real = tmp_path / "raced", Path.chmod
    raced.mkdir()
    raced.chmod(0o777)

    def plant(path: Path, mode: int) -> None:
        if mode == 0o700:
            (path / IDENTITY_FILE).write_bytes(bytes(32))
        real(path, mode)

    monkeypatch.setattr(Path, "chmod", plant)
    with pytest.raises(UsageError, match="Every user of this machine can write"):
        claim(raced)
    assert (stat.S_IMODE(raced.stat().st_mode), os.listdir(raced)) == (0o777, [IDENTITY_FILE])


async def test_a_database_or_redis_that_cannot_be_reached_leaves_nothing_behind(tmp_path: Path) -> None:
    """Guards a first start before the database runs: keys that belong to no relay would be found later."""
    folders = {"data_dir": tmp_path / "new" / "data", "keys_dir": tmp_path / "new" / "keys"}
    postgres, redis = "postgresql://127.0.0.1:1/x", "redis://127.0.0.1:1/0"
    assert "--store cannot be reached" in str(await _start(store=postgres, **folders))
    assert "--tokens cannot be reached" in str(await _start(store=postgres, tokens=redis, **folders))
    assert "--tokens cannot be reached" in str(await _start(tokens=redis, data_dir=folders["data_dir"]))
    assert os.listdir(tmp_path) == []


def test_who_hosts_for_nobody_else_is_told() -> None:
    """Guards hosts who would hand out an address of the loopback; a proxy in front of it has another one."""
    assert "this computer only" in invitation(RelayOptions(), _FP, 8765)
    assert "this computer only" not in invitation(RelayOptions(trust_forwarded=True), _FP, 8765)


def test_who_takes_people_by_invite_is_told_how_to_make_one(tmp_path: Path) -> None:
    """Guards hosts whose friends would be refused, and who would not know why."""
    options = RelayOptions(registration="invite", data_dir=tmp_path / "my relay")
    assert f"zap2 admin invite --data '{tmp_path}/my relay'" in invitation(options, _FP, 8765)
    assert "Nobody new" in invitation(RelayOptions(registration="closed"), _FP, 8765)
    assert "invite" not in invitation(RelayOptions(data_dir=tmp_path), _FP, 8765)


async def test_a_host_that_is_not_ours() -> None:
    assert "cannot listen on 192.0.2.1" in str(await _start(host="192.0.2.1"))


async def test_a_data_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "cannot be used" in str(await _start(data_dir=tmp_path / "file" / "data"))


async def test_a_data_folder_that_another_relay_uses(tmp_path: Path) -> None:
    async with Relay(RelayOptions(port=0, data_dir=tmp_path)):
        assert "Another relay" in str(await _start(data_dir=tmp_path))
    async with Relay(RelayOptions(port=0, data_dir=tmp_path)):
        pass  # it was released


async def test_a_folder_with_other_things_in_it_keeps_its_mode(tmp_path: Path) -> None:
    (tmp_path / "somebody's file").write_text("")
    os.chmod(tmp_path, 0o740)
    async with Relay(RelayOptions(port=0, data_dir=tmp_path)):
        assert os.stat(tmp_path).st_mode & 0o777 == 0o740


async def test_a_damaged_key(tmp_path: Path) -> None:
    (tmp_path / "relay.key").write_bytes(b"short")
    assert "damaged" in str(await _start(data_dir=tmp_path))
    assert (tmp_path / "relay.key").read_bytes() == b"short"


async def test_a_relay_whose_hashing_key_is_lost_makes_no_new_one(tmp_path: Path) -> None:
    """Guards the directory: under another key every number of it is unknown, and nobody would see why."""
    async with Relay(RelayOptions(port=0, data_dir=tmp_path)):
        pass
    (tmp_path / "hashing.key").unlink()
    assert "hashing.key is missing" in str(await _start(data_dir=tmp_path))
    assert not (tmp_path / "hashing.key").exists()


async def test_a_start_that_was_interrupted_between_the_keys_is_finished(tmp_path: Path) -> None:
    (tmp_path / "hashing.key").write_bytes(bytes(32))
    async with Relay(RelayOptions(port=0, data_dir=tmp_path)):
        assert (tmp_path / "hashing.key").read_bytes() == bytes(32)
        assert len((tmp_path / "relay.key").read_bytes()) == 32


async def test_a_file_that_is_not_a_database(tmp_path: Path) -> None:
    (tmp_path / "relay.sqlite3").write_bytes(b"not a database" * 500)
    assert "cannot be used" in str(await _start(data_dir=tmp_path))


async def test_a_database_of_a_newer_version_or_of_another_program(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "relay.sqlite3") as db:
        db.execute("PRAGMA user_version=99")
    db.close()
    assert "newer version" in str(await _start(data_dir=tmp_path))
    with sqlite3.connect(tmp_path / "relay.sqlite3") as db:
        db.execute("PRAGMA user_version=1")
    db.close()
    assert "another program" in str(await _start(data_dir=tmp_path))


async def test_a_certificate_that_cannot_be_read(tmp_path: Path) -> None:
    missing, garbage = tmp_path / "missing", tmp_path / "garbage"
    garbage.write_text("not PEM")
    assert "cannot be used" in str(await _start(tls_cert=missing, tls_key=missing))
    assert "cannot be used" in str(await _start(tls_cert=garbage, tls_key=garbage))
    assert "belong together" in str(await _start(tls_cert=garbage))


async def test_a_relay_in_memory_leaves_nothing_and_is_another_one_each_time() -> None:
    async with Relay(RelayOptions(port=0)) as one, Relay(RelayOptions(port=0)) as two:
        assert one.fingerprint != two.fingerprint
        assert str(one.address) == f"zap2+ws://{one.fingerprint}@127.0.0.1:{one.port}"


async def test_stopping_twice_and_before_starting_is_allowed() -> None:
    relay = Relay(RelayOptions(port=0))
    await relay.stop()
    await relay.start()
    await relay.stop()
    await relay.stop()


@pytest.mark.parametrize(
    ("options", "address"),
    [
        (RelayOptions(), f"zap2+ws://{_FP}@127.0.0.1:8765"),
        (RelayOptions(host="::1"), f"zap2+ws://{_FP}@[::1]:8765"),
        (RelayOptions(host="localhost"), f"zap2+ws://{_FP}@localhost:8765"),
        (RelayOptions(host=_EVERYWHERE), f"zap2://{_FP}@<your domain>"),
        # Behind a proxy on the same machine, as the systemd unit has it.
        (RelayOptions(trust_forwarded=True), f"zap2://{_FP}@<your domain>"),
        (RelayOptions(host="::"), f"zap2://{_FP}@<your domain>"),
        (RelayOptions(tls_cert=Path("c"), tls_key=Path("k")), f"zap2://{_FP}@127.0.0.1:8765"),
        (RelayOptions(host=_EVERYWHERE, tls_cert=Path("c")), f"zap2://{_FP}@<your domain>:8765"),
        (RelayOptions(host="chat.example.org", tls_cert=Path("c")), f"zap2://{_FP}@chat.example.org:8765"),
    ],
)
def test_the_address_to_hand_out(options: RelayOptions, address: str) -> None:
    assert public_address(options, _FP, 8765) == address
    words = invitation(options, _FP, 8765)
    assert words.splitlines()[0] == address
    assert "zap2 chat --relay" in words
    assert ("TLS proxy" in words) == (not options.has_tls and "domain" in address)


# ------------------------------------------------------------------------------------------------ shared keys


def test_relays_that_start_together_on_an_empty_folder_get_the_same_keys(tmp_path: Path) -> None:
    """As two containers do at their very first start."""
    keys_dir = tmp_path / "keys"
    with ThreadPoolExecutor(8) as threads:
        names = list(threads.map(lambda n: load_keys(tmp_path / str(n), os.urandom, keys_dir).name, range(8)))
    assert len(set(names)) == 1
    assert keys_dir.stat().st_mode & 0o777 == 0o700
    for file in (IDENTITY_FILE, HASHING_FILE):
        assert (keys_dir / file).stat().st_mode & 0o777 == 0o600


def test_keys_in_a_folder_that_nobody_can_write_are_read(tmp_path: Path) -> None:
    """A secret that was mounted."""
    name = load_keys(None, os.urandom, tmp_path).name
    (tmp_path / "lock").unlink()
    tmp_path.chmod(0o500)
    try:
        assert load_keys(None, os.urandom, tmp_path).name == name
        assert not (tmp_path / "lock").exists()
    finally:
        tmp_path.chmod(0o700)


def test_a_relay_with_keys_of_its_own_does_not_quietly_get_others(tmp_path: Path) -> None:
    data, keys_dir = tmp_path / "data", tmp_path / "keys"
    data.mkdir()
    name = load_keys(data, os.urandom).name
    with pytest.raises(UsageError, match="has keys in") as caught:
        load_keys(data, os.urandom, keys_dir)
    assert "Move relay.key and hashing.key there" in caught.value.hint
    assert not keys_dir.exists()
    data.rename(keys_dir)
    assert load_keys(data, os.urandom, keys_dir).name == name


def test_a_folder_for_keys_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be used"):
        load_keys(None, os.urandom, tmp_path / "file" / "keys")


async def test_shared_keys_need_a_shared_store_and_nothing_is_made_without(tmp_path: Path) -> None:
    error = await _start(data_dir=tmp_path / "data", keys_dir=tmp_path / "keys")
    assert "--store" in error.hint
    assert not (tmp_path / "keys").exists()
