"""The key file: the vault's random key, wrapped by a passphrase.

The database is encrypted with a random key that never changes. Argon2id turns the passphrase into a key that wraps
it, so that another passphrase or costlier parameters only rewrite this small file. Layout, integers big-endian:

    magic "Zap2.key" (8) | version u16 | memory in KiB u32 | iterations u32 | lanes u32 | salt (16) | nonce (12)
    | AES-256-GCM of the 32-byte key under Argon2id(passphrase), with everything before it as associated data (48)
    | SHA-256 of everything before it (32)

Every version begins with magic and version and ends with the checksum. The checksum is read first: it tells damage
and foreign files from a wrong passphrase before Argon2id runs, and it is no secret and no protection. A failed tag
under a right checksum means the passphrase.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from zap2.errors import ProfileExists, UsageError, VaultDamaged, VaultError, VaultTooNew, WrongPassphrase
from zap2.ids import RandomBytes
from zap2.vault.durable import os_errors, write_durably

KEY_SIZE_B: Final = 32
VERSION: Final = 1

_MAGIC: Final = b"Zap2.key"
_PREFIX: Final = struct.Struct(">8sH")
_HEADER: Final = struct.Struct(">8sHIII16s12s")
_SALT_SIZE_B: Final = 16
_NONCE_SIZE_B: Final = 12
_SEALED_SIZE_B: Final = KEY_SIZE_B + 16
_CHECKSUM_SIZE_B: Final = 32
_FILE_SIZE_B: Final = _HEADER.size + _SEALED_SIZE_B + _CHECKSUM_SIZE_B
# No version's key file will be larger.
_MAX_FILE_SIZE_B: Final = 65_536
_MAX_MEMORY_KIB: Final = 2 * 1024 * 1024
_MAX_WORK_KIB: Final = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class KdfParameters:
    """The cost of Argon2id (RFC 9106): at least its second recommended option (64 MiB, 3 iterations, 4 lanes).

    The default is that option, about 0.2 s on two slow cores: every one-shot command pays it, on small machines too,
    and a longer passphrase buys more than a dearer derivation. `iterations * memory_kib` is bounded, so that a
    hostile key file costs a wait of seconds and never the machine.

    Raises:
        ValueError: outside the bounds.
    """

    memory_kib: int = 64 * 1024
    iterations: int = 3
    lanes: int = 4

    def __post_init__(self) -> None:
        is_costly_enough = self.memory_kib >= 64 * 1024 and self.iterations >= 3 and self.lanes >= 4
        is_bounded = self.memory_kib <= _MAX_MEMORY_KIB and self.lanes <= 64
        if not is_costly_enough or not is_bounded or self.iterations * self.memory_kib > _MAX_WORK_KIB:
            raise ValueError("the parameters of Argon2id are out of bounds")


DEFAULT_PARAMETERS: Final = KdfParameters()


def create_keyfile(
    path: Path, passphrase: str, rng: RandomBytes, parameters: KdfParameters = DEFAULT_PARAMETERS
) -> bytes:
    """Make a random key, keep it in a new file wrapped by the passphrase, and give it to open the database with.

    Raises:
        UsageError: the passphrase is empty or not text.
        ProfileExists: there is a file already; it was not touched.
        VaultError: the disk does not allow it, or there is too little memory.
    """
    secret = _secret_of(passphrase)
    if secret is None:
        raise UsageError(
            "The passphrase is empty or cannot be read.", "Choose a few words that nobody guesses."
        )
    if path.exists():
        raise ProfileExists
    key = rng(KEY_SIZE_B)
    write_durably(path, _wrap(key, secret, rng, parameters))
    return key


def open_keyfile(path: Path, passphrase: str) -> bytes:
    """Unwrap the vault's key (32 bytes); takes the better part of a second and changes nothing.

    Raises:
        WrongPassphrase: the file is whole and the passphrase is not its.
        VaultDamaged: the file is missing, truncated, changed, or something else.
        VaultTooNew: a newer version of Zap2 wrote it.
        VaultError: it cannot be read, or there is too little memory.
    """
    wrapped = _parse(_read(path))
    secret = _secret_of(passphrase)
    if secret is None:
        raise WrongPassphrase
    try:
        key = AESGCM(_derive(secret, wrapped.salt, wrapped.parameters)).decrypt(
            wrapped.nonce, wrapped.sealed, wrapped.header
        )
    except InvalidTag:
        raise WrongPassphrase from None
    return key


def rewrap(
    path: Path,
    passphrase: str,
    new_passphrase: str,
    rng: RandomBytes,
    parameters: KdfParameters = DEFAULT_PARAMETERS,
) -> None:
    """Wrap the same key by another passphrase, or with other parameters; the database stays as it is.

    The file is replaced in one step. Copies of the old one, in backups or on the disk's free blocks, still open
    with the old passphrase.

    Raises:
        UsageError: the new passphrase is empty or not text.
        WrongPassphrase, VaultDamaged, VaultTooNew, VaultError: as `open_keyfile`; nothing was changed.
    """
    new_secret = _secret_of(new_passphrase)
    if new_secret is None:
        raise UsageError(
            "The new passphrase is empty or cannot be read.", "Choose a few words that nobody guesses."
        )
    key = open_keyfile(path, passphrase)
    write_durably(path, _wrap(key, new_secret, rng, parameters))


@dataclass(frozen=True, slots=True)
class _Wrapped:
    parameters: KdfParameters
    salt: bytes
    nonce: bytes
    header: bytes
    sealed: bytes = field(repr=False)


def _wrap(key: bytes, secret: bytes, rng: RandomBytes, parameters: KdfParameters) -> bytes:
    salt, nonce = rng(_SALT_SIZE_B), rng(_NONCE_SIZE_B)
    header = _HEADER.pack(
        _MAGIC, VERSION, parameters.memory_kib, parameters.iterations, parameters.lanes, salt, nonce
    )
    sealed = AESGCM(_derive(secret, salt, parameters)).encrypt(nonce, key, header)
    return header + sealed + hashlib.sha256(header + sealed).digest()


def _read(path: Path) -> bytes:
    try:
        with os_errors(f"{path.name} cannot be read"), path.open("rb") as file:
            return file.read(_MAX_FILE_SIZE_B + 1)
    except VaultError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            raise VaultDamaged(f"{path.name}, which holds the vault's key, is missing.") from None
        raise


def _parse(content: bytes) -> _Wrapped:
    body, checksum = content[:-_CHECKSUM_SIZE_B], content[-_CHECKSUM_SIZE_B:]
    is_whole = (
        _PREFIX.size <= len(body) <= _MAX_FILE_SIZE_B - _CHECKSUM_SIZE_B
        and body.startswith(_MAGIC)
        and hmac.compare_digest(hashlib.sha256(body).digest(), checksum)
    )
    if not is_whole:
        raise VaultDamaged("The key file of the vault is damaged, cut short, or not a key file.")
    _, version = _PREFIX.unpack_from(body)
    if version > VERSION:
        raise VaultTooNew
    if version != VERSION or len(content) != _FILE_SIZE_B:
        raise VaultDamaged("The key file of the vault is damaged.")
    header, sealed = body[: _HEADER.size], body[_HEADER.size :]
    _, _, memory_kib, iterations, lanes, salt, nonce = _HEADER.unpack(header)
    try:
        parameters = KdfParameters(memory_kib, iterations, lanes)
    except ValueError:
        raise VaultDamaged(
            "The key file of the vault asks for more or less work than any vault does."
        ) from None
    return _Wrapped(parameters, salt, nonce, header, sealed)


def _secret_of(passphrase: str) -> bytes | None:
    """Give the bytes of a passphrase, the same ones however a keyboard composes its letters."""
    try:
        return unicodedata.normalize("NFC", passphrase).encode("utf-8") or None
    except UnicodeEncodeError:
        return None


def _derive(secret: bytes, salt: bytes, parameters: KdfParameters) -> bytes:
    try:
        return Argon2id(
            salt=salt,
            length=KEY_SIZE_B,
            iterations=parameters.iterations,
            lanes=parameters.lanes,
            memory_cost=parameters.memory_kib,
        ).derive(secret)
    except MemoryError:
        raise VaultError(
            f"Unlocking needs {parameters.memory_kib // 1024} MiB of memory, and there is less.",
            "Close something else and try again.",
        ) from None
