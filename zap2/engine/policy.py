"""The numbers by which the engine decides, in one place so that tests can run a small world."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

SEND_WINDOW: Final = 64
"""Envelopes in flight."""


@dataclass(frozen=True, slots=True)
class Policy:
    """How much, how often, how long.

    Prekey numbers are those of docs/protocol.md, "Prekeys": pairs beyond `one_time_kept` are forgotten once they are
    older than `one_time_life_ms`, and made no faster than `one_time_stock` a day. Another end of the link that lies
    costs at most `signed_sets_a_day`, and one putting back of a backup in `restored_again_ms`. `send_window` bounds
    envelopes in flight; each may go to somebody else, so a transport holds as many ways open.
    """

    one_time_stock: int = 100
    one_time_low: int = 30
    one_time_kept: int = 400
    one_time_life_ms: int = 60 * 86_400_000
    refused_tokens_at_most: int = 3
    signed_sets_a_day: int = 5
    restored_again_ms: int = 3_600_000
    receipt_delay_ms: int = 150
    send_window: int = SEND_WINDOW
    envelope_life_ms: int = 30 * 86_400_000
    seen_envelope_life_ms: int = 45 * 86_400_000
    retired_session_life_ms: int = 7 * 86_400_000
    fetch_again_ms: int = 60_000
    fetch_again_after_fraud_ms: int = 600_000
    unanswered_again_ms: int = 2_000
    longest_put_off_ms: int = 3_600_000
    repairs_an_hour: int = 1
    repairs_a_day: int = 5
    resend_for_ms: int = 7 * 86_400_000
    resend_at_most: int = 300
    peer_repairs_an_hour: int = 3
    open_requests: int = 200
    claims_of_a_contact: int = 20
    plausible_sids: int = 1000
    plausible_oids: int = 100_000
    plausible_sequences: int = 10_000
    skipped_sequences: int = 10_000
    gap_patience_ms: int = 600_000
    upkeep_every_ms: int = 3_600_000
