"""The relay's two secrets: the Ed25519 key that its address pins, and the key of its keyed hashes.

Both live in the data folder, or in a folder that several relays share, mode 0600. Losing the first one makes every
address that was handed out void; losing the second one makes every registered number unknown.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from filelock import FileLock, Timeout

from zap2.errors import UsageError
from zap2.ids import EnvelopeId, RandomBytes, Uid
from zap2.server.datadir import refuse_foreign, refuse_foreign_file
from zap2.wire.statements import relay_fingerprint

_KEY_SIZE_B: Final = 32
IDENTITY_FILE: Final = "relay.key"
HASHING_FILE: Final = "hashing.key"
_FILES: Final = (IDENTITY_FILE, HASHING_FILE)
_LOCK_FILE: Final = "lock"
_LOCK_PATIENCE_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class RelayKeys:
    """What the relay signs and hashes with."""

    relay_key: bytes
    """The public Ed25519 key, 32 bytes."""
    sign: Callable[[bytes], bytes] = field(repr=False)
    _hashing_key: bytes = field(repr=False)
    _dedupe: hashlib.blake2b = field(repr=False)
    """With the key in it, and the word with which all dedupe keys begin."""

    @property
    def fingerprint(self) -> str:
        """The key's name in addresses."""
        return relay_fingerprint(self.relay_key)

    @property
    def name(self) -> str:
        """What both keys together are called: other keys have another name, and it tells neither."""
        check = hmac.digest(self._hashing_key, b"name", "sha256")[:8]
        return f"{self.fingerprint}.{check.hex()}"

    def bucket_name(self, kind: str, key: Hashable) -> bytes:
        """Name a bucket of limits outside of this process, where nobody is to read whose it is."""
        parts = f"bucket{kind}.{key!r}".encode()
        return hashlib.blake2b(parts, key=self._hashing_key, digest_size=16).digest()

    def number_key(self, number: str) -> bytes:
        """Hash a phone number (E.164), so that the store holds none."""
        return hmac.digest(self._hashing_key, b"number" + number.encode(), "sha256")

    def code_hash(self, number_key: bytes, code: str) -> bytes:
        """Hash a verification code together with the number that it is for."""
        return hmac.digest(self._hashing_key, b"code" + number_key + code.encode(), "sha256")

    def invite_hash(self, invite: str) -> bytes:
        """Hash an invite as a person typed it: capitals, blanks and hyphens do not matter."""
        plain = "".join(invite.lower().split()).replace("-", "")
        return hmac.digest(self._hashing_key, b"invite" + plain.encode(), "sha256")

    def pin_key(self, uid: Uid, pin: str) -> bytes:
        """Give what is hashed slowly in place of a PIN, so that the store alone cannot be searched for it."""
        return hmac.digest(self._hashing_key, b"pin" + uid + pin.encode(), "sha256")

    def dedupe_key(self, sender_mailbox: int, uid: Uid, device: int, envelope_id: EnvelopeId) -> bytes:
        """Hash who sent which envelope to whom: 16 bytes that recognise a repetition and name nobody."""
        # BLAKE2b, its key done already, because this is computed for every message and takes a fifth of HMAC's time.
        dedupe = self._dedupe.copy()
        dedupe.update(b"%d.%d.%b%b" % (sender_mailbox, device, uid, envelope_id))
        return dedupe.digest()


def make_keys(seed: bytes, hashing_key: bytes) -> RelayKeys:
    """Make the keys from their 32 secret bytes each."""
    private = Ed25519PrivateKey.from_private_bytes(seed)
    dedupe = hashlib.blake2b(b"sent", key=hashing_key, digest_size=16)
    return RelayKeys(private.public_key().public_bytes_raw(), private.sign, hashing_key, dedupe)


def load_keys(data_dir: Path | None, rng: RandomBytes, keys_dir: Path | None = None) -> RelayKeys:
    """Read the keys of a data folder (None: of none), and make those that are not there yet.

    Args:
        data_dir: the data folder, which is this relay's alone.
        rng: the source of randomness.
        keys_dir: a folder for the keys instead, which several relays may share; the first of them makes the keys.

    Raises:
        UsageError: a key file cannot be read, written, is not one, or is somebody else's; the folder is one into which
            others may put files.
    """
    if keys_dir is not None:
        return _load_shared(keys_dir, data_dir, rng)
    if data_dir is None:
        return make_keys(rng(_KEY_SIZE_B), rng(_KEY_SIZE_B))
    return _load_from(data_dir, rng)


def check_shared(keys_dir: Path) -> None:
    """Look at a folder of `--keys`, and make nothing.

    Raises:
        UsageError: it is there, and is one into which others may put files.
    """
    try:
        if keys_dir.exists():
            refuse_foreign(keys_dir, "--keys")
    except OSError as error:
        raise _unusable(keys_dir, error) from error


def _load_shared(keys_dir: Path, data_dir: Path | None, rng: RandomBytes) -> RelayKeys:
    check_shared(keys_dir)
    if all((keys_dir / name).exists() for name in _FILES):
        return _load_from(keys_dir, rng)  # The folder may be one that nobody can write.
    if data_dir is not None and any((data_dir / name).exists() for name in _FILES):
        raise UsageError(
            f"This relay has keys in {data_dir} already, and there are none in {keys_dir}.",
            f"Move {' and '.join(_FILES)} there, so that its address stays the same.",
        )
    try:
        keys_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        with FileLock(keys_dir / _LOCK_FILE, timeout=_LOCK_PATIENCE_S, mode=0o600):
            return _load_from(keys_dir, rng)
    except Timeout:
        raise UsageError(f"Another relay is making keys in {keys_dir}, and does not end.") from None
    except OSError as error:
        raise _unusable(keys_dir, error) from error


def _unusable(keys_dir: Path, error: OSError) -> UsageError:
    return UsageError(
        f"The folder {keys_dir} of --keys cannot be used: {error.strerror}.",
        "The relay's user has to be able to read it, and at the very first start to write it.",
    )


def _load_from(folder: Path, rng: RandomBytes) -> RelayKeys:
    identity_file, hashing_file = folder / IDENTITY_FILE, folder / HASHING_FILE
    identity = _load_or_make(identity_file, rng) if identity_file.exists() else None
    if identity is not None and not hashing_file.exists():
        raise UsageError(
            f"The relay's key {hashing_file} is missing, and with a new one nobody's number would be found again.",
            "Restore it from a backup of the folder; nothing was changed.",
        )
    # It is made first, so that an identity without it was never left by a start that was interrupted.
    hashing = _load_or_make(hashing_file, rng)
    return make_keys(identity or _load_or_make(identity_file, rng), hashing)


def _load_or_make(path: Path, rng: RandomBytes) -> bytes:
    try:
        if not path.exists():
            _write_durably(path, rng(_KEY_SIZE_B))
        refuse_foreign_file(path)
        key = path.read_bytes()
    except OSError as error:
        raise UsageError(f"The relay's key {path} cannot be used: {error.strerror}.") from error
    if len(key) != _KEY_SIZE_B:
        raise UsageError(
            f"The relay's key {path} is damaged.",
            "Restore the data folder from a backup; nothing was changed.",
        )
    return key


def _write_durably(path: Path, content: bytes) -> None:
    # Under another name first: a power cut must not leave half a key.
    half = path.with_name(path.name + ".new")
    descriptor = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(descriptor, content)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    half.replace(path)
    if os.name == "posix":
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
