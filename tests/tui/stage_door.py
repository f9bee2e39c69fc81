"""The doors of the stage: a first run against a scripted relay, and a profile to unlock."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from tests.tui.stage import RELAY, StageClient
from zap2.client.api import Client, Notice, RelayView, Signup, VerificationView
from zap2.errors import InvalidPhoneNumber, Refused, WrongPassphrase, Zap2Error

PASSPHRASE = "four random words here"


@dataclass
class StageSignup:
    """A first run against a relay that knows one address, one code, and perhaps one invite and one PIN."""

    client: StageClient
    asks_code: bool = True
    is_pinned: bool = True
    is_encrypted: bool = True
    code: str = "123456"
    registration: str = "open"
    invite: str = "abcd-efgh-ijkl-mnop"
    pin: str = ""
    """The registration PIN of the account that has the number; empty where nobody has it."""
    notice: Notice | None = None
    refusals: dict[str, Zap2Error] = field(default_factory=dict)
    calls: list[tuple[object, ...]] = field(default_factory=list)
    answers: asyncio.Event = field(default_factory=asyncio.Event)
    """While it is clear, the relay does not answer."""

    def __post_init__(self) -> None:
        self.answers.set()

    def _enter(self, method: str, *arguments: object) -> None:
        self.calls.append((method, *arguments))
        if method in self.refusals:
            raise self.refusals[method]

    async def connect(self, address: str) -> RelayView:
        """Reach the relay."""
        self._enter("connect", address)
        await self.answers.wait()
        fingerprint = "mfrggzdfmztwq2lknnwg23tpobyxe43u"
        return RelayView(RELAY, fingerprint, self.is_pinned, self.is_encrypted, self.registration, "log")

    async def request_code(self, number: str, *, invite: str | None = None) -> VerificationView:
        """Take a number."""
        self._enter("request_code", number, *([] if invite is None else [invite]))
        self._check_invite(invite)
        if not number.startswith("+"):
            raise InvalidPhoneNumber("This number has no country code.")
        return VerificationView(number, self.asks_code, "log", 600.0, 30.0)

    def expect_code(self, number: str) -> str:
        """Take a code that was sent earlier."""
        self._enter("expect_code", number)
        return number

    async def check_code(self, code: str) -> None:
        """Check a code."""
        self._enter("check_code", code)
        if code != self.code:
            raise Refused("wrong-code", "This is not the code that was sent.", hint="Four tries are left.")

    async def create(
        self, name: str, passphrase: str, *, invite: str | None = None, pin: str | None = None
    ) -> Client:
        """Make the profile."""
        self._enter("create", name, passphrase, *[given for given in (invite, pin) if given is not None])
        self._check_invite(invite)
        if self.pin and pin is None:
            raise Refused("pin-needed", "Another account has this number; its registration PIN is needed.")
        if self.pin and pin != self.pin:
            raise Refused(
                "wrong-pin", "This is not the account's registration PIN.", hint="Look at it again."
            )
        return self.client

    def _check_invite(self, invite: str | None) -> None:
        if self.registration == "invite" and invite != self.invite:
            raise Refused("invite-needed", "This invite is unknown, was used, or has expired.")

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
    notice: Notice | None = None
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
