"""The one tree of errors.

Every error says what happened (`str(error)`), what to do about it (`hint`), and carries a stable `code` that
scripts and tests may compare. `exit_code` is what a command ends with when the error reaches a person.

    Zap2Error
    ├─ UsageError                 exit 2: what was asked for cannot be done as asked
    │  ├─ InvalidPhoneNumber
    │  ├─ InvalidAddress          a relay address or contact link that is not one
    │  ├─ InvalidMessage          empty, too long
    │  ├─ UnknownConversation     no contact by that name in this profile
    │  ├─ NoProfile               nothing has been set up under that profile name
    │  └─ SignupUnfinished        the profile has no account yet, and its relay wants to hear from the person
    ├─ CodeNeeded                 exit 1: a code was issued, and the sign-up cannot go on before it is given
    ├─ OutputFailed               exit 1: standard output is closed or full
    ├─ CryptoError                never carries keys or plaintext
    │  ├─ InvalidKey              wrong length, non-canonical, small order
    │  ├─ InvalidSignature
    │  ├─ PrekeyRefused           expired, rolled back, or not its owner's
    │  ├─ ReplayedSetup           a session set-up that was already used
    │  ├─ AuthenticationFailed    bytes that no key of the session opens
    │  ├─ DuplicateMessage        a position of a chain that was already consumed
    │  ├─ TooManySkipped          a gap beyond the bounds
    │  └─ InvalidPadding
    ├─ WireError                  bytes that are not a frame or a content of this protocol
    │  ├─ Malformed
    │  └─ TooLarge
    ├─ VaultError
    │  ├─ WrongPassphrase         exit 5
    │  ├─ VaultDamaged            exit 7
    │  ├─ VaultTooNew             exit 7
    │  ├─ ProfileExists           exit 2
    │  └─ ProfileInUse            exit 7
    └─ TransportError
       ├─ Unreachable             exit 4: nobody answered; what was queued stays queued
       ├─ NothingQueued           exit 1: nobody answered who had to be asked first; send it again
       ├─ NotTrusted              exit 6: the other end has another key than the pinned one
       │  └─ OtherRelayKey        the relay itself does
       ├─ ProtocolViolation       exit 3: the other end broke the protocol
       └─ Refused                 exit 3: the other end said no; has its own `code` and perhaps `retry_after_s`
"""

from __future__ import annotations

from typing import ClassVar


class Zap2Error(Exception):
    """Base of all errors of Zap2.

    Args:
        message: what happened, one line for a person, without secrets.
        hint: what the person can do about it; the class's own hint when empty.
    """

    code: str = "error"
    default_hint: ClassVar[str] = ""
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str = "", hint: str = "") -> None:
        super().__init__(message or (type(self).__doc__ or "").splitlines()[0])
        self.hint = hint or self.default_hint


class UsageError(Zap2Error):
    """What was asked for cannot be done as asked."""

    code = "usage"
    exit_code = 2


class InvalidPhoneNumber(UsageError):
    """This is not a phone number that can be used."""

    code = "invalid-phone-number"
    default_hint = "Write it with its country code, for example +49 1512 3456789."


class InvalidAddress(UsageError):
    """This is not an address that Zap2 understands."""

    code = "invalid-address"
    default_hint = "A relay address looks like zap2://fingerprint@host:port or wss://host."


class InvalidMessage(UsageError):
    """This message cannot be sent."""

    code = "invalid-message"


class UnknownConversation(UsageError):
    """There is no contact by that name in this profile."""

    code = "unknown-conversation"
    default_hint = "`zap2 contacts` lists whom you know; `zap2 contacts add NUMBER` adds somebody."


class NoProfile(UsageError):
    """Nothing has been set up under this profile name yet."""

    code = "no-profile"
    default_hint = "`zap2 chat` sets a profile up, `zap2 signup` does so without a screen."


class SignupUnfinished(UsageError):
    """The signup of this profile was never finished.

    Args:
        reason: what stands in the way, a sentence.
        relay: the address of the relay at which it was begun.
    """

    code = "signup-unfinished"
    default_hint = (
        "Sign up again with `zap2 signup` and the same profile name and passphrase: nothing is lost."
    )

    def __init__(self, reason: str, *, relay: str) -> None:
        super().__init__(f"The signup of this profile was never finished. {reason}")
        self.relay = relay


class CodeNeeded(Zap2Error):
    """A verification code was issued, and nobody gave it."""

    code = "code-needed"
    default_hint = "Run the same command with --code CODE once you have it."


class OutputFailed(Zap2Error):
    """Standard output cannot be written."""

    code = "output"
    default_hint = "What was not written is not lost: it is not marked as read."


class CryptoError(Zap2Error):
    """A cryptographic check failed."""

    code = "crypto"


class InvalidKey(CryptoError):
    """A key has the wrong length or an encoding that must be refused."""

    code = "invalid-key"


class InvalidSignature(CryptoError):
    """A signature does not verify."""

    code = "invalid-signature"


class PrekeyRefused(CryptoError):
    """A prekey set is expired, older than one already seen, or not its owner's."""

    code = "prekey-refused"


class ReplayedSetup(CryptoError):
    """A session set-up was used before."""

    code = "replayed-setup"


class AuthenticationFailed(CryptoError):
    """No key of the session opens these bytes."""

    code = "authentication-failed"


class DuplicateMessage(CryptoError):
    """This position of the chain was already consumed."""

    code = "duplicate-message"


class TooManySkipped(CryptoError):
    """The message lies further ahead than a session may skip."""

    code = "too-many-skipped"


class InvalidPadding(CryptoError):
    """The padding of a decrypted frame is wrong, or the content does not fit any size."""

    code = "invalid-padding"


class WireError(Zap2Error):
    """Bytes are not a message of this protocol."""

    code = "wire"


class Malformed(WireError):
    """Bytes do not decode to a frame or content of this protocol."""

    code = "malformed"


class TooLarge(WireError):
    """A frame or content is larger than the protocol allows."""

    code = "too-large"


class VaultError(Zap2Error):
    """The vault cannot be used."""

    code = "vault"
    exit_code = 7


class WrongPassphrase(VaultError):
    """The passphrase does not open this vault."""

    code = "wrong-passphrase"
    exit_code = 5
    default_hint = (
        "Nothing was changed. Try again; without the passphrase nobody can read the vault, not even you."
    )


class VaultDamaged(VaultError):
    """The vault's files are damaged, incomplete, or not a vault."""

    code = "vault-damaged"
    default_hint = "Nothing was changed. Restore the profile's folder from a backup."


class VaultTooNew(VaultError):
    """The vault was written by a newer version of Zap2."""

    code = "vault-too-new"
    default_hint = "Nothing was changed. Upgrade Zap2 (`pipx upgrade zap2`) and open it again."


class ProfileExists(VaultError):
    """A profile by this name exists already."""

    code = "profile-exists"
    exit_code = 2
    default_hint = "Choose another --profile name, or use the one that is there."


class ProfileInUse(VaultError):
    """Another Zap2 process has this profile open."""

    code = "profile-in-use"
    default_hint = "Quit the other one first, or choose another --profile."


class TransportError(Zap2Error):
    """Delivery did not work."""

    code = "transport"


class Unreachable(TransportError):
    """The relay cannot be reached."""

    code = "unreachable"
    exit_code = 4
    default_hint = "What you sent is queued and goes out when the relay answers again."


class NothingQueued(TransportError):
    """The relay cannot be reached, and what was to be sent could not be queued."""

    code = "nothing-queued"
    default_hint = "Send it again when the relay can be reached."


class NotTrusted(TransportError):
    """The relay proved another key than the one this profile trusts."""

    code = "not-trusted"
    exit_code = 6
    default_hint = (
        "Somebody may be in between. Ask the relay's host whether its key changed before you go on."
    )


class OtherRelayKey(NotTrusted):
    """The relay has another key than the one that this profile trusts."""

    code = "other-relay-key"


class ProtocolViolation(TransportError):
    """The other end broke the protocol."""

    code = "protocol-violation"
    exit_code = 3


class Refused(TransportError):
    """The other end refused a request.

    Args:
        code: the stable reason, as `docs/protocol.md` lists them.
        message: words for a person.
        retry_after_s: seconds after which waiting helps, or None where it does not.
    """

    exit_code = 3

    def __init__(self, code: str, message: str, retry_after_s: float | None = None, hint: str = "") -> None:
        super().__init__(message, hint)
        self.code = code
        self.retry_after_s = retry_after_s

    @property
    def is_temporary(self) -> bool:
        """Whether the same request may succeed later."""
        return self.retry_after_s is not None
