"""One step of the engine: everything that a part of it may use."""

from __future__ import annotations

from dataclasses import dataclass, field

from zap2.crypto import IdentityKeys
from zap2.engine.effects import Alert, AlertCode, ContactUpdated, ConversationUpdated, Effect
from zap2.engine.memory import Memory
from zap2.engine.policy import Policy
from zap2.engine.session_book import SessionBook
from zap2.engine.signed_sets import SignedSets
from zap2.errors import UnknownConversation
from zap2.ids import RandomBytes, Uid, conversation_with
from zap2.vault.rows import ContactRow
from zap2.vault.store import Store

MS_PER_S = 1000


@dataclass(slots=True)
class Work:
    """The state, the time and the means of one step; `effects` is what the step gives back after its commit."""

    store: Store
    keys: IdentityKeys
    sessions: SessionBook
    signed_sets: SignedSets
    memory: Memory
    policy: Policy
    rng: RandomBytes = field(repr=False)
    now_ms: int
    effects: list[Effect] = field(default_factory=list)
    places: list[tuple[bytes, bytes]] = field(default_factory=list, repr=False)

    def has_seen_place(self, place_hash: bytes) -> bool:
        """Say whether a header used its place before, in this step or an earlier one."""
        is_of_this_step = any(place_hash == seen for seen, _ in self.places)
        return is_of_this_step or self.store.sessions.has_seen_place(place_hash)

    def write_places(self) -> None:
        """Keep the places that this step used; the sessions must be written before."""
        for place_hash, session_id in self.places:
            self.store.sessions.remember_place(place_hash, session_id)

    @property
    def now_s(self) -> int:
        """The time of this step in whole seconds since the epoch."""
        return self.now_ms // MS_PER_S

    def emit(self, effect: Effect) -> None:
        """Add an effect; one that only says that something changed is kept once."""
        if isinstance(effect, ConversationUpdated | ContactUpdated) and effect in self.effects:
            self.effects.remove(effect)
        self.effects.append(effect)

    def alert(self, code: AlertCode, uid: Uid) -> None:
        """Tell the person something about a contact; strangers and blocked people raise no alerts."""
        contact = self.store.contacts.get(uid)
        if contact is not None and contact.state == "accepted":
            self.emit(Alert(code, uid))

    def contact(self, uid: Uid) -> ContactRow:
        """Give a contact.

        Raises:
            UnknownConversation: this profile does not know that person.
        """
        contact = self.store.contacts.get(uid)
        if contact is None:
            raise UnknownConversation
        return contact

    def contact_changed(self, uid: Uid) -> None:
        """Say that a contact, and with it the conversation's line, changed."""
        self.emit(ContactUpdated(uid))
        self.emit(ConversationUpdated(conversation_with(uid)))
