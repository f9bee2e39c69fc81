"""Contents from which the fuzzing of a contact's messages begins."""

from __future__ import annotations

from zap2.wire.content import (
    Delivery,
    DeliveryWanted,
    Opening,
    Profile,
    Receipt,
    ReceiptKind,
    Text,
    encode_content,
)


def content_seeds() -> list[bytes]:
    """Give encoded contents of every kind, the odd ones among them."""
    now_ms = 1_800_000_000_000
    return [
        encode_content([Text(bytes(16), 0, now_ms, "hello")]),
        encode_content([Text(bytes(range(16)), 2**53 - 1, 2**53 - 1, "\u202e" * 50)]),
        encode_content([Receipt(ReceiptKind.READ, (bytes(16),) * 64)]),
        encode_content(
            [Profile("\x1b]52;c;\x07", "+4915112345678"), Receipt(ReceiptKind.DELIVERED, (bytes(16),))]
        ),
        encode_content([Opening(2**53 - 1, bytes(32), 2**53 - 1)] * 16),
        encode_content([Delivery(bytes(32), 0), Delivery(b"\xff" * 32, 1), DeliveryWanted()]),
        b"",
    ]
