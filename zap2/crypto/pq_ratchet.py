"""The post-quantum ratchet: fresh ML-KEM-768 secrets for the root, carried in the padding of ordinary messages.

Theory of operation. X25519 heals a session from a stolen state, but not against somebody who also has a quantum
computer. So the two sides go through *epochs*, one at a time, counted from 1. In each, one side (the initiator in
odd epochs, the responder in even ones) owns an encapsulation key of 1184 bytes, and the other answers with a
ciphertext of 1088 bytes. Both are handed over in units of 32 bytes, as many as the padding of a frame has room for;
each record says which units its sender has got, and what is missing is repeated. Loss and reordering cost time only.

When the owner holds the whole ciphertext it mixes `pq` into its next sending half-step, and the headers of that
chain and of all later ones say the epoch. The other side, which has known pq since it encapsulated, mixes the same
in when it first sees that chain. Nobody else decides anything: a chain is post-quantum since the epoch that its
authenticated header says. Then the roles swap.

    state       side          hands over    has received  leaves when                                  for
    Idle        owner         -             -             it sends: makes the key                      Offering
    Offering    owner         key           ciphertext    the last unit has come                       Due
    Due         owner         -             all           it begins a chain: folds, next epoch         Collecting
    Collecting  encapsulator  -             key           the last unit has come: encapsulates         Answering
    Answering   encapsulator  ciphertext    all           a chain of the peer's says it, next epoch    Idle

What holds in every state: the epoch in flight is one more than the epoch of the root, and the record of a message
is of one more than the epoch in its header. So a record of an earlier epoch is late and is passed over, and one of
a later epoch cannot come before the chain that ends the epoch in flight.

All functions are pure, but for the randomness of encapsulation, which the library draws itself. A record acts only
after the body that held it authenticated, and whoever calls keeps a new state only when the whole message was good.
"""

from __future__ import annotations

import hashlib
import struct
from typing import Final

from zap2.crypto.pq_record import (
    FROM_ENCAPSULATOR,
    FROM_OWNER,
    RECORD_HEAD_B,
    UNIT_B,
    PqRecord,
)
from zap2.crypto.pq_state import (
    ALL_CIPHERTEXT_UNITS,
    ALL_KEY_UNITS,
    LIFT_AFTER,
    Answering,
    Collecting,
    Due,
    Idle,
    Offering,
    PqState,
    Transfer,
)
from zap2.crypto.primitives import MLKEM768KeyPair, parse_mlkem768
from zap2.errors import AuthenticationFailed, InvalidPadding
from zap2.ids import RandomBytes

_LABEL: Final = b"Zap2 v1 pq epoch"
_U32: Final = struct.Struct(">I")
_NEW_TRANSFER: Final = Transfer(0, 0, 0, 0)


def start(*, is_initiator: bool) -> PqState:
    """Begin with epoch 1, whose key is the initiator's."""
    return Idle(1) if is_initiator else Collecting(1, b"", 0)


def begin_chain(state: PqState) -> tuple[PqState, bytes]:
    """Begin a sending chain of ours; gives what to append to its agreement, which is empty unless an epoch folds.

    The chain's epoch is one less than that of the state after it.
    """
    if isinstance(state, Due):
        return Collecting(state.epoch + 1, b"", 0), state.secret
    return state, b""


def follow_chain(state: PqState, epoch: int) -> tuple[PqState, bytes]:
    """Follow the peer into a new chain of theirs; gives what they appended to its agreement.

    Args:
        state: before.
        epoch: as the chain's header says.

    Raises:
        AuthenticationFailed: neither the epoch of the root nor one that we have answered.
    """
    if epoch == state.epoch - 1:
        return state, b""
    if epoch == state.epoch and isinstance(state, Answering):
        return Idle(epoch + 1), state.secret
    raise AuthenticationFailed("A header names a post-quantum epoch that was never agreed.")


def wants_lift(state: PqState, room_b: int) -> bool:
    """Say whether the next message should be made larger than its content needs.

    So it is once after 20 own messages that had no room for all the units that the peer is missing.

    Args:
        state: before the message.
        room_b: what its frame would have beside the content.
    """
    transfer = state.transfer
    if transfer is None or transfer.waited < LIFT_AFTER:
        return False
    everything = ALL_KEY_UNITS if state.is_owner else ALL_CIPHERTEXT_UNITS
    units = (everything & ~transfer.peer_has).bit_count()
    return transfer.carried < units and room_b < RECORD_HEAD_B + units * UNIT_B


def write(state: PqState, room_b: int, *, rng: RandomBytes) -> tuple[PqState, bytes]:
    """Write the record that goes with a message; it is empty where there is nothing to say or no room.

    Args:
        state: after `begin_chain`, where one was begun.
        room_b: what the frame has beside the content.
        rng: for the key of an epoch that is ours to begin.
    """
    if isinstance(state, Offering):
        transfer, first, units = _next_units(state.transfer, state.key.public, ALL_KEY_UNITS, room_b)
        record = _record(FROM_OWNER, state.epoch, first, state.have, units, room_b)
        return Offering(state.epoch, state.key, transfer, state.received, state.have), record
    if isinstance(state, Answering):
        transfer, first, units = _next_units(state.transfer, state.ciphertext, ALL_CIPHERTEXT_UNITS, room_b)
        # Once the ciphertext has arrived whole, the owner knows that its key did.
        have = 0 if transfer.peer_has == ALL_CIPHERTEXT_UNITS else ALL_KEY_UNITS
        record = _record(FROM_ENCAPSULATOR, state.epoch, first, have, units, room_b)
        return Answering(state.epoch, state.secret, state.ciphertext, transfer), record
    if isinstance(state, Idle):
        key = MLKEM768KeyPair.generate(rng)
        return write(Offering(state.epoch, key, _NEW_TRANSFER, b"", 0), room_b, rng=rng)
    if isinstance(state, Due):
        return state, _record(FROM_OWNER, state.epoch, 0, ALL_CIPHERTEXT_UNITS, b"", room_b)
    return state, _record(FROM_ENCAPSULATOR, state.epoch, 0, state.have, b"", room_b)


def read(state: PqState, encoded: bytes, *, chain_epoch: int) -> PqState:
    """Let the record of a message that authenticated act.

    Args:
        state: after `follow_chain`, where the message began a chain.
        encoded: the record, not empty.
        chain_epoch: as the message's header says.

    Raises:
        InvalidPadding: not a record, or not one that an honest peer sends here.
        InvalidKey: the last unit came, and the peer's key must not be used.
    """
    record = PqRecord.decode(encoded)
    if record.epoch != chain_epoch + 1:
        raise InvalidPadding("A post-quantum record is of another epoch than its chain.")
    if record.epoch != state.epoch:
        return state
    if record.kind != (FROM_ENCAPSULATOR if state.is_owner else FROM_OWNER):
        raise InvalidPadding("A post-quantum record is of the other side's kind.")
    if isinstance(state, Collecting):
        return _collect(state, record)
    if isinstance(state, Offering):
        return _hear_answer(state, record)
    if isinstance(state, Answering):
        transfer = _acknowledged(state.transfer, record.have)
        if transfer is not state.transfer:
            return Answering(state.epoch, state.secret, state.ciphertext, transfer)
    return state


def _collect(state: Collecting, record: PqRecord) -> PqState:
    received, have = _merged(state.received, state.have, record)
    if have == state.have:
        return state
    if have != ALL_KEY_UNITS:
        return Collecting(state.epoch, received, have)
    shared, ciphertext = parse_mlkem768(received).encapsulate()
    secret = _secret(state.epoch, received, ciphertext, shared)
    return Answering(state.epoch, secret, ciphertext, _NEW_TRANSFER)


def _hear_answer(state: Offering, record: PqRecord) -> PqState:
    transfer = _acknowledged(state.transfer, record.have)
    received, have = _merged(state.received, state.have, record)
    if have == ALL_CIPHERTEXT_UNITS:
        shared = state.key.decapsulate(received)
        return Due(state.epoch, _secret(state.epoch, state.key.public, received, shared))
    if have == state.have and transfer is state.transfer:
        return state
    return Offering(state.epoch, state.key, transfer, received, have)


def _secret(epoch: int, key: bytes, ciphertext: bytes, shared: bytes) -> bytes:
    """Compute pq, 32 bytes: it binds the epoch, the key and the ciphertext as both sides hold them."""
    return hashlib.sha256(_LABEL + _U32.pack(epoch) + key + ciphertext + shared).digest()


def _next_units(transfer: Transfer, data: bytes, everything: int, room_b: int) -> tuple[Transfer, int, bytes]:
    """Choose the run of units to send: from the cursor's first missing one on, up to the room or the end."""
    missing = everything & ~transfer.peer_has
    if not missing:
        return transfer, 0, b""
    waited, carried = transfer.waited, transfer.carried
    if waited == LIFT_AFTER:
        waited = carried = 0
    fitting = (room_b - RECORD_HEAD_B) // UNIT_B
    if fitting <= 0:
        return Transfer(transfer.peer_has, transfer.cursor, waited + 1, carried), 0, b""
    start_at = transfer.cursor if missing >> transfer.cursor else 0
    ahead = missing >> start_at
    first = start_at + (ahead & -ahead).bit_length() - 1
    end = (missing & ((1 << (first + fitting)) - 1)).bit_length()
    cursor = end if missing >> end else 0
    after = Transfer(transfer.peer_has, cursor, waited + 1, carried + end - first)
    return after, first, data[first * UNIT_B : end * UNIT_B]


def _acknowledged(transfer: Transfer, have: int) -> Transfer:
    peer_has = transfer.peer_has | have
    if peer_has == transfer.peer_has:
        return transfer
    return Transfer(peer_has, transfer.cursor, transfer.waited, transfer.carried)


def _merged(received: bytes, have: int, record: PqRecord) -> tuple[bytes, int]:
    """Put a record's units to those received before; a unit that is there already stays as it is."""
    first, count = record.first, len(record.units) // UNIT_B
    run = ((1 << count) - 1) << first
    new = run & ~have
    if not new:
        return received, have
    merged = bytearray(received.ljust((first + count) * UNIT_B, b"\x00"))
    if new == run:
        merged[first * UNIT_B : (first + count) * UNIT_B] = record.units
        return bytes(merged), have | new
    for index in range(first, first + count):
        if new >> index & 1:
            at = (index - first) * UNIT_B
            merged[index * UNIT_B : (index + 1) * UNIT_B] = record.units[at : at + UNIT_B]
    return bytes(merged), have | new


def _record(kind: int, epoch: int, first: int, have: int, units: bytes, room_b: int) -> bytes:
    if room_b < RECORD_HEAD_B or not (have or units):
        return b""
    return PqRecord(kind, epoch, first, have, units).encode()
