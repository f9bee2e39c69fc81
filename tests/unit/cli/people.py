"""Views of people and messages, for tests of what commands print."""

from __future__ import annotations

from zap2.client.api import ContactState, ContactView, MessageState, MessageView, MeView, Trust
from zap2.ids import MessageId, Uid, conversation_with

ME = MeView(Uid(b"\x01" * 32), "Me", "+12025550143", "wss://relay.example")


def contact(
    seed: int,
    title: str,
    number: str | None = None,
    state: ContactState = ContactState.ACCEPTED,
    profile_name: str = "",
) -> ContactView:
    """Make a contact; `seed` makes its uid."""
    return ContactView(Uid(bytes([seed]) * 32), title, profile_name, number, Trust.FIRST_USE, state, 0, None)


def message(
    peer: ContactView, text: str, *, position: int = 1, state: MessageState | None = None, at_ms: int = 0
) -> MessageView:
    """Make a message of a peer, or with a state, one's own to them."""
    is_mine = state is not None
    return MessageView(
        conversation=conversation_with(peer.uid),
        position=position,
        id=MessageId(position.to_bytes(16, "big")),
        author=ME.uid if is_mine else peer.uid,
        author_name=ME.name if is_mine else peer.title,
        is_mine=is_mine,
        text=text,
        sent_at_ms=at_ms,
        received_at_ms=at_ms,
        state=state,
    )
