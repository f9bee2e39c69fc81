"""What goes wrong on the way to a relay, in the words of our own errors: foreign exceptions end here.

A certificate that is not good makes a relay unreachable and not untrusted: it may have expired, or the network may
want a log-in in a browser first, and trying again later is right. What a profile trusts is the relay's key.
"""

from __future__ import annotations

import errno
import re
import socket
import ssl
from typing import Final

from websockets.exceptions import ConnectionClosed, InvalidMessage, InvalidStatus

from zap2.address import RelayAddress
from zap2.errors import ProtocolViolation, TransportError, Unreachable
from zap2.wire.fields import CloseCode

_CHECK_ADDRESS: Final = "Check the address, and ask the relay's host whether it is running."
_CHECK_NETWORK: Final = "Check this machine's network connection."
_ASK_HOST: Final = "Ask the relay's host; nothing was sent."
_NO_RELAY: Final = "Check the address: its host and its port."

_BUSY_STATUS: Final = frozenset({429, 503})
_ABSENT_STATUS: Final = frozenset({502, 504})

# X509_V_ERR_… of OpenSSL's x509_vfy.h.
_NOT_YET_VALID: Final = 9
_EXPIRED: Final = 10
_UNKNOWN_ISSUERS: Final = frozenset({18, 19, 20, 21})
_OTHER_NAMES: Final = frozenset({62, 64})

_ERRNO_IN_TEXT: Final = re.compile(r"\[Errno (\d+)\]")

_OWN_COMPLAINTS: Final = frozenset({1002, 1003, 1007, 1009})
"""Codes with which this side closes a connection whose bytes break the WebSocket protocol or our bounds."""

_CLOSED: Final[dict[int, str]] = {
    CloseCode.GOING_AWAY: "The relay is stopping or restarting.",
    CloseCode.TRY_LATER: "The relay takes no more connections at the moment.",
    CloseCode.INTERNAL: "The relay has a fault and closed the connection.",
    CloseCode.REPLACED: "This account is connected from somewhere else, and the relay keeps one connection.",
    CloseCode.TOKEN_EXPIRED: "The log-in at the relay expired or was revoked.",
    CloseCode.SLOW_READER: "This connection was too slow for the relay.",
    CloseCode.SILENT: "The relay heard nothing from here for too long.",
    CloseCode.FLOOD: "The relay closed the connection: too many requests.",
    CloseCode.BLOCKED: "The relay's host has blocked this account.",
}
_REFUSES_US: Final = frozenset(
    {
        CloseCode.PROTOCOL_ERROR,
        CloseCode.UNSUPPORTED,
        CloseCode.POLICY,
        CloseCode.MESSAGE_TOO_BIG,
        CloseCode.MALFORMED,
        CloseCode.OUT_OF_TURN,
    }
)


def of_dialing(error: Exception, address: RelayAddress) -> TransportError:
    """Say why no WebSocket could be opened.

    Args:
        error: an OSError, or any exception of `websockets`.
        address: where it was tried.
    """
    where = f"{address.host}, port {address.port}"
    match error:
        case InvalidStatus():
            return _of_status(error.response.status_code, address)
        case ConnectionClosed():
            return _closed_early(where)
        case InvalidMessage() if isinstance(error.__cause__, EOFError | ConnectionError):
            return _closed_early(where)
        case ssl.SSLCertVerificationError():
            return _of_certificate(error, address)
        case ssl.SSLError():
            return Unreachable(
                f"There is no encrypted connection to be had at {where}.",
                "Check the port; an address that begins with ws:// has no encryption.",
            )
        case socket.gaierror():
            return _of_name(error, address)
        case TimeoutError():
            return Unreachable(f"The relay at {where} did not answer in time.", _CHECK_ADDRESS)
        case OSError():
            return _of_socket(error, where)
        case _:
            return ProtocolViolation(f"What answers at {where} is not a Zap2 relay.", _NO_RELAY)


def of_closing(error: ConnectionClosed) -> TransportError:
    """Say why a connection that was open is closed."""
    closed_here = error.sent is not None and not error.rcvd_then_sent
    if closed_here and error.sent is not None and error.sent.code in _OWN_COMPLAINTS:
        return ProtocolViolation("The relay sent something that is not of this protocol.", _ASK_HOST)
    if error.rcvd is None:
        if error.sent is not None:
            return Unreachable("The relay does not answer any more.")
        return Unreachable("The connection to the relay broke.")
    code = error.rcvd.code
    if code in _REFUSES_US:
        return ProtocolViolation(
            f"The relay did not understand this client (code {code}).",
            "Perhaps Zap2 has to be upgraded, here or there.",
        )
    return Unreachable(_CLOSED.get(code, "The relay closed the connection."))


def _of_status(status: int, address: RelayAddress) -> TransportError:
    if status in _BUSY_STATUS:
        return Unreachable(_CLOSED[CloseCode.TRY_LATER], "Try again in a while.")
    if status in _ABSENT_STATUS:
        return Unreachable(f"The web server at {address.host} does not reach its relay.", _CHECK_ADDRESS)
    return ProtocolViolation(
        f"What answers at {address.host}, port {address.port}, is not a Zap2 relay (HTTP status {status}).",
        _NO_RELAY,
    )


def _of_certificate(error: ssl.SSLCertVerificationError, address: RelayAddress) -> TransportError:
    code = error.verify_code
    if code in _OTHER_NAMES:
        reason = f"The certificate shown for {address.host} is for another name."
    elif code == _EXPIRED:
        reason = f"The certificate of {address.host} has expired."
    elif code == _NOT_YET_VALID:
        reason = f"The certificate of {address.host} is not valid yet; is this machine's clock right?"
    elif code in _UNKNOWN_ISSUERS:
        reason = f"The certificate of {address.host} comes from nobody whom this machine knows."
    else:
        reason = f"The certificate of {address.host} is not valid."
    return Unreachable(
        reason, "A network that wants a log-in in a browser first can cause this. " + _ASK_HOST
    )


def _of_name(error: socket.gaierror, address: RelayAddress) -> TransportError:
    if error.errno == socket.EAI_AGAIN:
        return Unreachable(f"The name {address.host} cannot be looked up at the moment.", _CHECK_NETWORK)
    return Unreachable(f"There is no host with the name {address.host}.", "Check the address.")


def _of_socket(error: OSError, where: str) -> TransportError:
    # When a name has several addresses, asyncio gives one error with the errors of all of them in its text.
    numbers = {error.errno} if error.errno else {int(number) for number in _ERRNO_IN_TEXT.findall(str(error))}
    if isinstance(error, ConnectionRefusedError) or errno.ECONNREFUSED in numbers:
        return Unreachable(f"Nobody listens at {where}.", _CHECK_ADDRESS)
    if numbers & {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN}:
        return Unreachable(f"There is no way to {where} from here.", _CHECK_NETWORK)
    if errno.ETIMEDOUT in numbers:
        return Unreachable(f"The relay at {where} did not answer in time.", _CHECK_ADDRESS)
    if isinstance(error, ConnectionError):
        return _closed_early(where)
    return Unreachable(f"The relay at {where} cannot be reached.", _CHECK_ADDRESS)


def _closed_early(where: str) -> Unreachable:
    return Unreachable(f"The connection to {where} was closed before the relay answered.", _CHECK_ADDRESS)
