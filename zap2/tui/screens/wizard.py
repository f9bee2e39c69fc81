"""The first run: relay, invite, phone number, code, name, passphrase, PIN; of these, what the relay asks for.

A step that fails loses nothing that was typed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.message import Message
from textual.widgets import Button, Input, Static

from zap2.client.admission import check_invite, check_pin
from zap2.client.api import Entrance, RelayView, VerificationView
from zap2.errors import UsageError
from zap2.tui.clock import Clock
from zap2.tui.keys import bind
from zap2.tui.passphrase import Strength, strength, strength_words
from zap2.tui.screens.stepping import SteppedScreen
from zap2.tui.screens.unlock import Entered
from zap2.tui.screens.wizard_steps import (
    CODE_DIGITS,
    FIRST_FIELD,
    STEPS,
    TITLES,
    Step,
    code_words,
    relay_words,
    route,
    which_relay_words,
)
from zap2.tui.words import countdown, error_words, too_long_words
from zap2.tui.work import Failed, ask
from zap2.wire.fields import ErrorCode


class WizardScreen(SteppedScreen):
    """Leads through the steps of signing up; answers stay in their fields when one goes back."""

    CSS_PATH = "entrance.tcss"
    EXPLANATION = (
        "First run",
        "A few short steps make a profile: Enter goes on, Esc or Back goes back, and what you typed stays. Nothing "
        "is written to this computer and no account exists before you have chosen a passphrase.",
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("escape", "back", "Back", "wizard.back"),
        bind("f1", "app.explain", "Help", "app.help"),
        bind("down", "app.focus_next", "Next field", "wizard.next-field"),
        bind("up", "app.focus_previous", "Field before", "wizard.previous-field"),
    ]

    class Connected(Message):
        """The relay answered and proved its key."""

        def __init__(self, address: str, relay: RelayView) -> None:
            super().__init__()
            self.address = address
            self.relay = relay

    class CodeSent(Message):
        """The relay took the number."""

        def __init__(self, asked: str, verification: VerificationView) -> None:
            super().__init__()
            self.asked = asked
            self.verification = verification

    class CodeRight(Message):
        """Possession of the number is proved."""

        def __init__(self, code: str) -> None:
            super().__init__()
            self.code = code

    def __init__(
        self, entrance: Entrance, default_relay: str | None, clock: Clock, *, unfinished: str = ""
    ) -> None:
        super().__init__()
        self._entrance = entrance
        self._signup = entrance.signup()
        self._default_relay = default_relay or ""
        self._clock = clock
        self._unfinished = unfinished
        self._step = STEPS[0]
        self._connected_to: str | None = None
        self._relay: RelayView | None = None
        self._asked_number: str | None = None
        self._verification: VerificationView | None = None
        self._right_code: str | None = None
        self._resend_at_s = self._expires_at_s = 0.0
        self._is_pin_needed = False
        self._weak_passphrase: str | None = None

    def compose(self) -> ComposeResult:
        """Make all steps; one is shown."""
        with VerticalScroll(classes="card", can_focus=False):
            yield Static("", id="wizard-title", classes="card-title", markup=False)
            yield Static("", id="wizard-progress", classes="note", markup=False)
            yield Static("", id="relay-card", markup=False)
            for step in STEPS:
                yield Step(step)
            with Horizontal(classes="card-buttons"):
                yield Button("Next", id="next", variant="primary", compact=True)
                yield Button("Back", id="back", compact=True)
        yield Static("Enter goes on · Esc goes back · F1 help · Ctrl+Q quits", classes="foot")

    def on_mount(self) -> None:
        """Begin with the relay."""
        self.query_one("#relay-field", Input).value = self._default_relay
        words = which_relay_words(is_offered=bool(self._default_relay), unfinished=self._unfinished)
        self.query_one("#relay-words", Static).update(words)
        self._show_strength("")
        self.set_interval(1.0, self._show_resend)
        self._go(STEPS[0])

    # Moving

    @property
    def _route(self) -> tuple[str, ...]:
        return route(self._relay, self._verification, is_pin_needed=self._is_pin_needed)

    def _go(self, step: str, error: str = "") -> None:
        """Show a step."""
        steps = self._route
        self._step = step
        for page in self.query(Step):
            page.display = page.step == step
        number = steps.index(step) + 1
        self.query_one("#relay-card").display = number == 2
        self.query_one("#wizard-title", Static).update(TITLES[step])
        dots = "●" * number + "○" * (len(steps) - number)
        profile = f" · profile '{self._entrance.profile}'"
        self.query_one("#wizard-progress", Static).update(f"{dots}  step {number} of {len(steps)}{profile}")
        self.query_one("#back", Button).label = "Quit" if number == 1 else "Back"
        self.query_one("#next", Button).label = "Create" if number == len(steps) else "Next"
        self._say(step, error)
        self._show_resend()
        self.query_one("#next").disabled = False
        self.move()

    def first_field(self) -> Input:
        """Give the field in which the present step begins."""
        return self.query_one(FIRST_FIELD[self._step], Input)

    def enter(self) -> bool:
        """Go on to the next field or step. Says whether that was possible."""
        again, field, step = self.query_one("#again-field", Input), self.focused, self._step
        if field is not None and field.id == "passphrase-field" and not again.value:
            self.set_focus(again)
            return True
        self._next()
        return self._busy or self._step != step

    def action_back(self) -> None:
        """Go one step back; answers stay."""
        steps = self._route
        if not self.is_waiting and self._step != steps[0]:
            self._go(steps[steps.index(self._step) - 1])

    @on(Button.Pressed, "#back")
    async def _back(self) -> None:
        if self._step == STEPS[0]:
            await self.run_action("app.quit")
        else:
            self.action_back()

    @on(Button.Pressed, "#next")
    def _next(self) -> None:
        if not self.is_waiting:
            getattr(self, f"_leave_{self._step}")()

    def _go_on(self) -> None:
        """Go to the step after this one."""
        steps = self._route
        self._go(steps[steps.index(self._step) + 1])

    # Leaving each step

    def _leave_relay(self) -> None:
        address = self._value("relay")
        if not address:
            self._say("relay", "! Write the relay's address; its host knows it.")
        elif address == self._connected_to:
            self._go_on()
        else:
            self._start("Reaching the relay…")

            def connected(relay: RelayView) -> Message:
                return self.Connected(address, relay)

            ask(self, self._signup.connect(address), connected)

    @on(Connected)
    def _connected(self, message: Connected) -> None:
        if message.relay.registration == "closed":
            self._refuse("! This relay takes no new accounts. Ask its host, or use another relay.")
            return
        self._connected_to, self._relay = message.address, message.relay
        self._asked_number = self._verification = self._right_code = None
        self._is_pin_needed = False
        card = self.query_one("#relay-card", Static)
        card.update(relay_words(message.relay))
        card.set_class(not (message.relay.is_pinned and message.relay.is_encrypted), "-warn")
        self._go_on()

    def _leave_invite(self) -> None:
        if not self._value("invite"):
            self._say("invite", "! Write the invite that the relay's host gave you.")
        elif self._takes("invite", check_invite):
            self._go_on()

    @property
    def _invite(self) -> str | None:
        return self._value("invite") if "invite" in self._route else None

    def _leave_phone(self) -> None:
        number = self._value("phone")
        if not number:
            self._say(
                "phone", "! Write your phone number with its country code, for example +49 1512 3456789."
            )
        elif number == self._asked_number and self._is_code_alive():
            self._go_on()
        else:
            self._request_code(number)

    def _is_code_alive(self) -> bool:
        return "code" not in self._route or self._clock.monotonic_s() < self._expires_at_s

    def _request_code(self, number: str) -> None:
        self._start("Asking the relay…")

        def sent(verification: VerificationView) -> Message:
            return self.CodeSent(number, verification)

        ask(self, self._signup.request_code(number, invite=self._invite), sent)

    @on(CodeSent)
    def _code_sent(self, message: CodeSent) -> None:
        verification = message.verification
        if message.asked != self._asked_number:
            self.query_one("#code-field", Input).value = ""
            self._is_pin_needed = False
        self._asked_number, self._verification, self._right_code = message.asked, verification, None
        now_s = self._clock.monotonic_s()
        self._resend_at_s = now_s + verification.resend_after_s
        self._expires_at_s = now_s + verification.expires_in_s
        self.query_one("#code-words", Static).update(code_words(verification))
        self._go("code" if verification.is_needed else "name")

    def _expect_code(self, wait_s: float) -> None:
        """Ask for the code that is out already: a first run that was left had it sent."""
        asked = self._value("phone")
        method = self._relay.verification if self._relay else ""
        number = self._signup.expect_code(asked)
        self._code_sent(self.CodeSent(asked, VerificationView(number, True, method, wait_s, wait_s)))
        self._say("code", "It was sent a moment ago, for a first run that was left, and is still good.")

    @on(Button.Pressed, "#resend")
    def _resend(self, event: Button.Pressed) -> None:
        event.stop()
        if self._asked_number is not None and not self._busy:
            self._request_code(self._asked_number)

    def _show_resend(self) -> None:
        """Count down to when the code may be made again."""
        button = self.query_one("#resend", Button)
        wait_s = self._resend_at_s - self._clock.monotonic_s()
        button.disabled = wait_s > 0
        button.label = f"New code (in {countdown(wait_s)})" if wait_s > 0 else "New code"

    def _leave_code(self) -> None:
        code = "".join(self._value("code").split())
        if not code:
            self._say("code", "! Write the code.")
        elif code == self._right_code:
            self._go_on()
        elif not (len(code) == CODE_DIGITS and code.isascii() and code.isdigit()):
            self._say("code", f"! The code has {CODE_DIGITS} digits.")
        else:
            self._start("Checking…")
            ask(self, self._signup.check_code(code), lambda _: self.CodeRight(code))

    @on(CodeRight)
    def _code_right(self, message: CodeRight) -> None:
        self._right_code = message.code
        self._go_on()

    def _leave_name(self) -> None:
        name = self._value("name")
        if not name:
            self._say("name", "! Write a name; it may be a short one.")
        elif too_long := too_long_words(name):
            self._say("name", too_long)
        else:
            self._go_on()

    def _leave_passphrase(self) -> None:
        passphrase = self.query_one("#passphrase-field", Input).value
        again = self.query_one("#again-field", Input)
        if not passphrase:
            self._say("passphrase", "! Write a passphrase.")
        elif passphrase != again.value:
            self._say(
                "passphrase", "! The two are not the same." if again.value else "! Write it a second time."
            )
            self.set_focus(again)
        elif strength(passphrase) is Strength.WEAK and passphrase != self._weak_passphrase:
            self._weak_passphrase = passphrase
            self._say("passphrase", "! It is weak. Enter once more takes it all the same.")
        elif self._is_pin_needed:
            self._go_on()
        else:
            self._create()

    def _leave_pin(self) -> None:
        if not self._value("pin"):
            self._say("pin", "! Write the PIN.")
        elif self._takes("pin", check_pin):
            self._create()

    def _create(self) -> None:
        passphrase = self.query_one("#passphrase-field", Input).value
        pin = self._value("pin") if self._is_pin_needed else None
        self._start("Making your keys and signing up…")
        request = self._signup.create(self._value("name"), passphrase, invite=self._invite, pin=pin)
        ask(self, request, lambda client: Entered(client, self._signup.notice))

    # Words

    @on(Failed)
    def _failed(self, message: Failed) -> None:
        message.stop()
        self.drop()
        code, words = message.error.code, f"! {error_words(message.error)}"
        if code == ErrorCode.PIN_NEEDED and not self._is_pin_needed:
            self._is_pin_needed = True
            self._go("pin")
        elif code == ErrorCode.INVITE_NEEDED and "invite" in self._route:
            self._go("invite", words)
        elif code == ErrorCode.RESEND_TOO_SOON and self._step == "phone":
            self._expect_code(getattr(message.error, "retry_after_s", None) or 0.0)
        else:
            self._refuse(words)

    def _refuse(self, words: str) -> None:
        """Stay, and say why."""
        self.query_one("#next").disabled = False
        self._say(self._step, words)
        self.stay()

    def _takes(self, step: str, check: Callable[[str], str]) -> bool:
        """Say whether an answer passes a check; the reason stands at the field where it does not."""
        try:
            check(self._value(step))
        except UsageError as error:
            self._say(step, f"! {error_words(error)}")
            return False
        return True

    @on(Input.Changed, "#passphrase-field")
    def _typed(self, event: Input.Changed) -> None:
        self._show_strength(event.value)

    def _show_strength(self, passphrase: str) -> None:
        self.query_one("#strength", Static).update(strength_words(passphrase))

    def _value(self, step: str) -> str:
        return self.query_one(f"#{step}-field", Input).value.strip()

    def _start(self, words: str) -> None:
        self.wait()
        self.query_one("#next").disabled = True
        self._say(self._step, words)

    def _say(self, step: str, words: str) -> None:
        line = self.query_one(f"#{step}-error", Static)
        line.update(words)
        if words:
            self.call_after_refresh(line.scroll_visible, animate=False)

    async def on_unmount(self) -> None:
        """Give up what was not created; what was created lives on in its client."""
        await self._signup.close()
