"""The states of an own message, as a table.

A message is QUEUED until the transport says that it is safe (SENT), then the reader's device confirms
end to end that it is stored (DELIVERED) and seen (READ). Confirmations may overtake one another, so the state
takes the furthest one and never goes back. FAILED is entered only from QUEUED, and left by a retry, or by a
confirmation that proves the failure wrong.
"""

from __future__ import annotations

from typing import Final

QUEUED: Final = "queued"
SENT: Final = "sent"
DELIVERED: Final = "delivered"
READ: Final = "read"
FAILED: Final = "failed"

_NEXT: Final[dict[str, frozenset[str]]] = {
    QUEUED: frozenset({SENT, DELIVERED, READ, FAILED}),
    FAILED: frozenset({QUEUED, SENT, DELIVERED, READ}),
    SENT: frozenset({DELIVERED, READ}),
    DELIVERED: frozenset({READ}),
    READ: frozenset(),
}


def may_become(state: str | None, new_state: str) -> bool:
    """Say whether an own message may go from one state to another."""
    return state is not None and new_state in _NEXT[state]
