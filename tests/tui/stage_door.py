"""The doors of the stage: a first run against a scripted relay, and a profile to unlock."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.tui.stage import RELAY, StageClient
from zap2.client.api import Client, RelayView, Signup, VerificationView
from zap2.errors import InvalidPhoneNumber, Refused, WrongPassphrase, Zap2Error

PASSPHRASE = "four random words here"


@dataclass
class StageSignup:
    """A first run against a relay that knows one address and one code."""

    client: StageClient
    asks_code: bool = True
    is_pinned: bool = True
    is_encrypted: bool = True
    code: str = "123456"
    refusals: dict[str, Zap2Error] = field(default_factory=dict)
    calls: list[tuple[object, ...]] = field(default_factory=list)

    def _enter(self, method: str, *arguments: object) -> None:
        self.calls.append((method, *arguments))
        if method in self.refusals:
            raise self.refusals[method]

    async def connect(self, address: str) -> RelayView:
        """Reach the relay."""
        self._enter("connect", address)
        fingerprint = "mfrggzdfmztwq2lknnwg23tpobyxe43u"
        return RelayView(RELAY, fingerprint, self.is_pinned, self.is_encrypted, "open", "log")

    async def request_code(self, number: str) -> VerificationView:
        """Take a number."""
        self._enter("request_code", number)
        if not number.startswith("+"):
            raise InvalidPhoneNumber("This number has no country code.")
        return VerificationView(number, self.asks_code, "log", 600.0, 30.0)

    async def check_code(self, code: str) -> None:
        """Check a code."""
        self._enter("check_code", code)
        if code != self.code:
            raise Refused("wrong-code", "This is not the code that was sent.", hint="Four tries are left.")

    async def create(self, name: str, passphrase: str) -> Client:
        """Make the profile."""
        self._enter("create", name, passphrase)
        return self.client

    async def close(self) -> None:
        """Give up."""
        self.calls.append(("close",))


@dataclass
class StageEntrance:
    """A door whose passphrase is `PASSPHRASE`."""

    client: StageClient
    exists: bool = True
    profile: str = "default"
    refusal: Zap2Error | None = None
    first_run: StageSignup | None = None

    async def unlock(self, passphrase: str) -> Client:
        """Open with the right passphrase only."""
        if self.refusal is not None:
            raise self.refusal
        if passphrase != PASSPHRASE:
            raise WrongPassphrase
        return self.client

    def signup(self) -> Signup:
        """Begin."""
        if self.first_run is None:
            self.first_run = StageSignup(self.client)
        return self.first_run
