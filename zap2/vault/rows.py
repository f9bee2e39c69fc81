"""What the stores hand out: one frozen value a row. Reprs hold no names, numbers, texts or keys."""

from __future__ import annotations

from dataclasses import dataclass, field

from zap2.ids import ConversationId, EnvelopeId, MessageId, Uid


@dataclass(frozen=True, slots=True)
class ContactRow:
    """One person.

    The directory confirmed `number`; `claimed_number` waits for its word; `has_moved` says that it gives the number to
    another account now. `delivery_token` is theirs, for their mailbox, and None with a time for one that was refused;
    `own_token_state` says whether they have ours
    (none, stale, given, confirmed), and a receipt for an own text from `own_token_since` on confirms it.
    """

    uid: Uid
    state: str
    trust: str
    document: bytes | None = field(repr=False)
    document_signature: bytes | None = field(repr=False)
    own_name: str = field(repr=False)
    profile_name: str = field(repr=False)
    number: str | None = field(repr=False)
    claimed_number: str | None = field(repr=False)
    added_at_ms: int
    lowest_sid: int
    next_sequence: int
    is_profile_acknowledged: bool
    session_state: str
    has_moved: bool
    claim_count: int
    gap_since_ms: int | None
    gap_asked_for: int
    delivery_token: bytes | None = field(repr=False)
    delivery_token_made_at_ms: int
    own_token_state: str
    own_token_since: int


@dataclass(frozen=True, slots=True)
class ConversationRow:
    """One line of the conversation list, with the newest message's fields (empty without one)."""

    id: ConversationId
    peer: Uid
    active_at_ms: int
    draft: str = field(repr=False)
    unread: int
    last_text: str = field(repr=False)
    last_is_mine: bool
    last_state: str | None


@dataclass(frozen=True, slots=True)
class MessageRow:
    """One message; `text` is as it came, not sanitised.

    `pq_epoch` is the post-quantum epoch of the chain that carried it, None until it was encrypted, and for notes.
    `is_sealed` says of an own message whether it left over a connection that does not name us, None until it left.
    """

    conversation: ConversationId
    position: int
    id: MessageId
    author: Uid
    is_mine: bool
    is_unread: bool
    sequence: int
    sent_at_ms: int
    received_at_ms: int
    state: str | None
    failure: str | None
    text: str = field(repr=False)
    pq_epoch: int | None = None
    is_sealed: bool | None = None


@dataclass(frozen=True, slots=True)
class SessionRow:
    """One session with its encoded state.

    `replaces` is the session that a repair took the place of; `made_at_ms` the clock of the side that set it up;
    `retired_at_ms` is set once it only receives.
    """

    id: bytes
    peer: Uid
    state: bytes = field(repr=False)
    is_receive_only: bool
    replaces: bytes | None
    made_at_ms: int
    created_at_ms: int
    used_at_ms: int
    retired_at_ms: int | None


@dataclass(frozen=True, slots=True)
class SignedPrekeyRow:
    """One signed set with its secrets."""

    sid: int
    secrets: bytes = field(repr=False)
    created_at_ms: int
    is_published: bool


@dataclass(frozen=True, slots=True)
class WaitingRow:
    """One own message that waits for a session."""

    number: int
    peer: Uid
    conversation: ConversationId
    message: MessageId


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """One envelope with its final ciphertext. `message` is None for envelopes that carry no text.

    `is_named`: it was, or is to be, sent over the connection that names us, and never sealed any more.
    """

    number: int
    envelope: EnvelopeId
    peer: Uid
    payload: bytes = field(repr=False)
    created_at_ms: int
    expires_at_ms: int
    next_try_at_ms: int
    conversation: ConversationId | None
    message: MessageId | None
    is_named: bool
