"""Any bytes into the content decoder give parts or a documented error; what is encoded comes back."""

from __future__ import annotations

import contextlib

from hypothesis import given
from hypothesis import strategies as st

from zap2.errors import WireError
from zap2.wire.content import (
    Delivery,
    DeliveryWanted,
    Opening,
    Part,
    Profile,
    Receipt,
    ReceiptKind,
    Text,
    Void,
    decode_content,
    encode_content,
)

ids = st.binary(min_size=16, max_size=16)
counts = st.integers(0, 2**53 - 1)
words = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
texts = st.builds(Text, ids, counts, counts, words.filter(bool))
receipts = st.builds(Receipt, st.sampled_from(ReceiptKind), st.lists(ids, min_size=1, max_size=64).map(tuple))
profiles = st.builds(Profile, words, st.sampled_from(["", "+4915112345678"]))
openings = st.builds(Opening, counts, st.none() | st.binary(min_size=32, max_size=32), counts)
deliveries = st.builds(Delivery, st.binary(min_size=32, max_size=32), counts) | st.just(DeliveryWanted())
voids = st.builds(Void, counts, counts)
contents = st.lists(
    st.one_of(texts, receipts, profiles, openings, deliveries, voids), min_size=1, max_size=16
)


@given(contents)
def test_contents_survive_the_round_trip(parts: list[Part]) -> None:
    assert decode_content(encode_content(parts)) == tuple(parts)


@given(st.binary(max_size=300))
def test_any_bytes_are_parts_or_a_wire_error(content: bytes) -> None:
    with contextlib.suppress(WireError):
        decode_content(content)


@given(contents, st.data())
def test_damaged_contents_are_parts_or_a_wire_error(parts: list[Part], data: st.DataObject) -> None:
    encoded = bytearray(encode_content(parts))
    for _ in range(data.draw(st.integers(1, 4))):
        encoded[data.draw(st.integers(0, len(encoded) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(WireError):
        decode_content(bytes(encoded))
