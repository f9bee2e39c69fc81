"""Any bytes in the key file's place are a documented error, found before Argon2id could be made to work."""

from __future__ import annotations

import hashlib
import struct
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zap2.errors import VaultDamaged, VaultTooNew
from zap2.vault.keyfile import open_keyfile

_MAGIC = st.just(b"Zap2.key")
_HEADER = st.builds(
    lambda version, costs: struct.pack(">HIII", version, *costs),
    st.integers(0, 3),
    # Never within the bounds: 0 or 1 lane is too few.
    st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), st.integers(0, 1)),
)
_BODY = st.builds(lambda *parts: b"".join(parts), _MAGIC, _HEADER, st.binary(max_size=80))
_WHOLE = st.builds(
    lambda body: body + hashlib.sha256(body).digest(), st.one_of(_BODY, st.binary(max_size=160))
)


@given(st.one_of(st.binary(max_size=300), _BODY, _WHOLE))
def test_any_bytes_are_damage_or_of_a_newer_version(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "vault.key"
        path.write_bytes(content)
        with pytest.raises((VaultDamaged, VaultTooNew)):
            open_keyfile(path, "words")
        assert path.read_bytes() == content
