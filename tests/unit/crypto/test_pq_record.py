"""Records: exact bytes, and nothing else is read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zap2.crypto.pq_record import (
    CIPHERTEXT_UNITS,
    FROM_ENCAPSULATOR,
    FROM_OWNER,
    KEY_UNITS,
    PqRecord,
)
from zap2.errors import InvalidPadding


def test_layout_is_the_documented_one() -> None:
    """Type, epoch, first, count, five bytes of acknowledgement, units."""
    record = PqRecord(FROM_ENCAPSULATOR, 0x01020304, 5, 0x1080000001, b"\xaa" * 32 + b"\xbb" * 32)
    assert record.encode() == bytes.fromhex("02 01020304 05 02 1080000001") + b"\xaa" * 32 + b"\xbb" * 32
    assert PqRecord.decode(record.encode()) == record


def test_key_and_ciphertext_are_whole_units() -> None:
    """1184 and 1088 bytes."""
    assert (KEY_UNITS, CIPHERTEXT_UNITS) == (37, 34)


@given(
    kind=st.sampled_from([FROM_OWNER, FROM_ENCAPSULATOR]),
    epoch=st.integers(1, 2**32 - 1),
    run=st.tuples(st.integers(0, 33), st.integers(1, 34)).filter(lambda run: sum(run) <= 34),
    have=st.integers(0, 2**34 - 1),
)
def test_any_valid_record_comes_back(kind: int, epoch: int, run: tuple[int, int], have: int) -> None:
    """Whatever a sender may say is read as it was said."""
    record = PqRecord(kind, epoch, run[0], have, bytes(32 * run[1]))
    assert PqRecord.decode(record.encode()) == record


@pytest.mark.parametrize(
    "head",
    [
        "",
        "01 00000001 00 00 00000000",
        "00 00000001 00 00 0000000000",
        "03 00000001 00 00 0000000000",
        "01 00000000 00 00 0000000000",
        "01 00000001 01 00 0000000000",
        "01 00000001 00 01 0000000000",
        "01 00000001 00 00 0400000000",
        "02 00000001 00 00 2000000000",
    ],
    ids=["empty", "short", "type 0", "type 3", "epoch 0", "first", "no unit", "ciphertext bit", "key bit"],
)
def test_other_heads_are_refused(head: str) -> None:
    """Each field has its bounds, and acknowledges only what exists."""
    with pytest.raises(InvalidPadding):
        PqRecord.decode(bytes.fromhex(head))


@pytest.mark.parametrize(("kind", "units"), [(FROM_OWNER, 37), (FROM_ENCAPSULATOR, 34)])
def test_units_end_with_key_and_ciphertext(kind: int, units: int) -> None:
    """The last unit is read, one after it is not."""
    last = PqRecord(kind, 1, units - 1, 0, bytes(32)).encode()
    assert PqRecord.decode(last).first == units - 1
    for beyond in (PqRecord(kind, 1, units, 0, bytes(32)), PqRecord(kind, 1, units - 1, 0, bytes(64))):
        with pytest.raises(InvalidPadding):
            PqRecord.decode(beyond.encode())
    with pytest.raises(InvalidPadding):
        PqRecord.decode(last[:-1])
