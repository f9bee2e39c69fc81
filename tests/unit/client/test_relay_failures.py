"""Foreign exceptions become errors of ours, each cause with a sentence of its own."""

from __future__ import annotations

import errno
import socket
import ssl

import pytest
from websockets.exceptions import ConnectionClosedError, InvalidMessage, InvalidUpgrade
from websockets.frames import Close

from zap2.address import RelayAddress
from zap2.client.relay.failures import of_closing, of_dialing
from zap2.errors import ProtocolViolation, TransportError, Unreachable

_ADDRESS = RelayAddress("relay.example", 8443)


def _certificate_error(code: int) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code = code
    return error


def _caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


_DIALING: list[tuple[Exception, type[TransportError], str]] = [
    (
        ConnectionRefusedError(errno.ECONNREFUSED, "no"),
        Unreachable,
        "Nobody listens at relay.example, port 8443.",
    ),
    (
        OSError("Multiple exceptions: [Errno 111] Connect call failed ('::1', 1, 0, 0), [Errno 111] Connect"),
        Unreachable,
        "Nobody listens at relay.example, port 8443.",
    ),
    (socket.gaierror(socket.EAI_NONAME, "?"), Unreachable, "There is no host with the name relay.example."),
    (socket.gaierror(socket.EAI_AGAIN, "?"), Unreachable, "The name relay.example cannot be looked up"),
    (TimeoutError("timed out"), Unreachable, "did not answer in time"),
    (OSError(errno.ENETUNREACH, "no"), Unreachable, "There is no way to relay.example, port 8443 from here."),
    (OSError(errno.EHOSTUNREACH, "no"), Unreachable, "There is no way to"),
    (ConnectionResetError(errno.ECONNRESET, "no"), Unreachable, "was closed before the relay answered"),
    (_caused(InvalidMessage("?"), EOFError()), Unreachable, "was closed before the relay answered"),
    (OSError(errno.EMFILE, "no"), Unreachable, "cannot be reached"),
    (_certificate_error(62), Unreachable, "is for another name"),
    (_certificate_error(10), Unreachable, "has expired"),
    (_certificate_error(9), Unreachable, "not valid yet"),
    (_certificate_error(18), Unreachable, "nobody whom this machine knows"),
    (_certificate_error(23), Unreachable, "is not valid"),
    (ssl.SSLError(1, "wrong version number"), Unreachable, "no encrypted connection"),
    (InvalidMessage("?"), ProtocolViolation, "is not a Zap2 relay"),
    (InvalidUpgrade("Connection"), ProtocolViolation, "is not a Zap2 relay"),
]


@pytest.mark.parametrize(("error", "kind", "words"), _DIALING, ids=lambda case: repr(case)[:40])
def test_each_cause_of_a_failed_dial_has_its_own_sentence(
    error: Exception, kind: type[TransportError], words: str
) -> None:
    mapped = of_dialing(error, _ADDRESS)
    assert type(mapped) is kind
    assert words in str(mapped)
    assert mapped.hint


_CLOSINGS: list[tuple[Close | None, Close | None, bool | None, type[TransportError], str]] = [
    (None, None, None, Unreachable, "broke"),
    (None, Close(1011, "keepalive ping timeout"), None, Unreachable, "does not answer any more"),
    (None, Close(1009, ""), None, ProtocolViolation, "not of this protocol"),
    (Close(1002, ""), Close(1002, ""), False, ProtocolViolation, "not of this protocol"),
    (Close(1001, ""), Close(1001, ""), True, Unreachable, "stopping or restarting"),
    (Close(4002, ""), Close(4002, ""), True, Unreachable, "connected from somewhere else"),
    (Close(4003, ""), Close(4003, ""), True, Unreachable, "expired or was revoked"),
    (Close(4000, ""), Close(4000, ""), True, ProtocolViolation, "did not understand this client (code 4000)"),
    (Close(4999, "\x1b[31mred"), Close(4999, ""), True, Unreachable, "The relay closed the connection."),
]


@pytest.mark.parametrize(("received", "sent", "theirs_first", "kind", "words"), _CLOSINGS)
def test_each_way_of_closing_has_its_own_sentence(
    received: Close | None,
    sent: Close | None,
    theirs_first: bool | None,
    kind: type[TransportError],
    words: str,
) -> None:
    mapped = of_closing(ConnectionClosedError(received, sent, theirs_first))
    assert type(mapped) is kind
    assert words in str(mapped)
    assert "\x1b" not in str(mapped)
