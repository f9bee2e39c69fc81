"""The first run: what is said, what stays, what is asked of the relay."""

from __future__ import annotations

from textual import events
from textual.widgets import Button, Input

from tests.tui.running import Driver, app_for, running, screen_text, until, write
from tests.tui.stage import RELAY, StageClient, StoppedClock
from tests.tui.stage_door import PASSPHRASE, StageEntrance, StageSignup
from zap2.errors import NotTrusted, Refused, SignupUnfinished, Unreachable
from zap2.tui.app import Zap2App
from zap2.tui.passphrase import Strength, strength
from zap2.tui.screens.chat import ChatScreen


def _first_run(signup: StageSignup, relay: str | None = RELAY, clock: StoppedClock | None = None) -> Zap2App:
    entrance = StageEntrance(signup.client, exists=False, first_run=signup)
    return app_for(signup.client, entrance=entrance, default_relay=relay, clock=clock)


async def _fill(pilot: Driver, app: Zap2App, text: str, then: str) -> None:
    await write(pilot, text)
    await pilot.press("enter")
    await until(pilot, lambda: then in screen_text(app))


async def test_first_run_leads_to_the_chat() -> None:
    """Guards all five steps by keys alone, and what the relay and the vault are asked."""
    signup = StageSignup(StageClient())
    app = _first_run(signup)
    async with running(app) as pilot:
        await pilot.press("enter")
        await until(pilot, lambda: "Your phone number" in screen_text(app))
        assert "mfrg gzdf" in screen_text(app)
        assert "✓ The connection is encrypted (TLS)." in screen_text(app)
        await _fill(pilot, app, "+4915123456789", "The six-digit code")
        assert "relay's log" in screen_text(app)
        await _fill(pilot, app, "123 456", "Your name")
        await _fill(pilot, app, "Bo", "A passphrase")
        await _fill(pilot, app, PASSPHRASE, "■■■□ good.")
        await write(pilot, PASSPHRASE)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ChatScreen))
    methods = [call for call in signup.calls if call[0] != "close"]
    assert methods == [
        ("connect", RELAY),
        ("request_code", "+4915123456789"),
        ("check_code", "123456"),
        ("create", "Bo", PASSPHRASE),
    ]


async def test_relay_without_codes_skips_that_step() -> None:
    """Guards the way to the name, and back."""
    signup = StageSignup(StageClient(), asks_code=False)
    app = _first_run(signup)
    async with running(app) as pilot:
        await pilot.press("enter")
        await until(pilot, lambda: "Your phone number" in screen_text(app))
        await _fill(pilot, app, "+4915123456789", "Your name")
        await pilot.press("escape")
        await until(pilot, lambda: "Your phone number" in screen_text(app))


async def test_unpinned_and_unencrypted_relay_is_said() -> None:
    """Guards that trust at first sight is never silent."""
    signup = StageSignup(StageClient(), is_pinned=False, is_encrypted=False)
    app = _first_run(signup, "ws://relay.example.org:8765")
    async with running(app) as pilot:
        await pilot.press("enter")
        await until(pilot, lambda: "Your address named no key" in screen_text(app))
        assert "is not encrypted" in screen_text(app)


async def test_bad_number_is_a_field_error() -> None:
    """Guards the words for a number that is none: the reason, an example, and the field as it was."""
    signup = StageSignup(StageClient())
    app = _first_run(signup)
    async with running(app) as pilot:
        await pilot.press("enter")
        await until(pilot, lambda: "Your phone number" in screen_text(app))
        await _fill(pilot, app, "0151 234", "This number has no country code.")
        assert "+49 1512 3456789" in screen_text(app)
        assert app.screen.query_one("#phone-field", Input).value == "0151 234"
        assert app.screen.query_one("#phone-field", Input).has_focus


async def test_failures_lose_nothing_that_was_typed() -> None:
    """Guards every answer through a failing last step, going back and forward again."""
    signup = StageSignup(StageClient())
    app = _first_run(signup)
    async with running(app) as pilot:
        signup.refusals["connect"] = Unreachable("The relay cannot be reached.")
        await pilot.press("enter")
        await until(pilot, lambda: "The relay cannot be reached." in screen_text(app))
        signup.refusals["connect"] = NotTrusted()
        await pilot.press("enter")
        await until(pilot, lambda: "proved another key" in screen_text(app))
        del signup.refusals["connect"]
        await pilot.press("enter")
        await until(pilot, lambda: "Your phone number" in screen_text(app))
        await _fill(pilot, app, "+4915123456789", "The six-digit code")
        await _fill(pilot, app, "12345", "The code has 6 digits.")
        app.screen.query_one("#code-field", Input).value = ""
        await _fill(pilot, app, "999999", "This is not the code that was sent.")
        assert "Four tries are left." in screen_text(app)
        app.screen.query_one("#code-field", Input).value = "123456"
        await pilot.press("enter")
        await until(pilot, lambda: "Your name" in screen_text(app))
        await _fill(pilot, app, "x" * 65, "It has 65 characters; a name has 64 at most.")
        app.screen.query_one("#name-field", Input).value = ""
        await _fill(pilot, app, "Bo", "A passphrase")
        await write(pilot, PASSPHRASE)
        await pilot.press("enter")
        await _fill(pilot, app, "something else", "The two are not the same.")
        app.screen.query_one("#again-field", Input).value = PASSPHRASE
        signup.refusals["create"] = Refused("number-registered", "This number has an account already.")
        await pilot.press("enter")
        await until(pilot, lambda: "This number has an account already." in screen_text(app))
        for title in ("Your name", "The six-digit code", "Your phone number", "Which relay?"):
            await pilot.press("escape")
            await until(pilot, lambda title=title: title in screen_text(app))  # type: ignore[misc]  # mypy cannot infer a lambda with a default
        del signup.refusals["create"]
        for title in ("Your phone number", "The six-digit code", "Your name", "A passphrase"):
            await pilot.press("enter")
            await until(pilot, lambda title=title: title in screen_text(app))  # type: ignore[misc]  # mypy cannot infer a lambda with a default
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ChatScreen))
    assert [call[0] for call in signup.calls].count("request_code") == 1


async def test_an_invite_is_asked_for_where_the_relay_wants_one() -> None:
    """Guards the way into a relay by invite: what it is, where to get it, and that a bad one is asked for again."""
    signup = StageSignup(StageClient(), registration="invite")
    app = _first_run(signup)
    async with running(app) as pilot:
        await pilot.press("enter")
        await until(pilot, lambda: "Your invite" in screen_text(app))
        assert "step 2 of 6" in screen_text(app)
        assert "mfrg gzdf" in screen_text(app)
        await pilot.press("enter")
        await until(pilot, lambda: "! Write the invite" in screen_text(app))
        await _fill(pilot, app, "wrong", "Your phone number")
        await _fill(pilot, app, "+4915123456789", "This invite is unknown, was used, or has expired.")
        assert app.screen.query_one("#invite-field", Input).value == "wrong"
        app.screen.query_one("#invite-field", Input).value = ""
        await _fill(pilot, app, signup.invite, "Your phone number")
        await pilot.press("enter")
        await until(pilot, lambda: "The six-digit code" in screen_text(app))
        await _fill(pilot, app, "123456", "Your name")
        await _fill(pilot, app, "Bo", "A passphrase")
        # Somebody else used the invite meanwhile: a second one goes on where the first one failed.
        used, signup.invite = signup.invite, "another-one"
        await _fill(pilot, app, PASSPHRASE, "once more")
        await _fill(pilot, app, PASSPHRASE, "was used")
        app.screen.query_one("#invite-field", Input).value = ""
        await _fill(pilot, app, "another-one", "Your phone number")
        for title in ("The six-digit code", "Your name", "A passphrase"):
            await pilot.press("enter")
            await until(pilot, lambda title=title: title in screen_text(app))  # type: ignore[misc]  # mypy cannot infer a lambda with a default
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ChatScreen))
    assert [call for call in signup.calls if call[0] in ("request_code", "create")] == [
        ("request_code", "+4915123456789", "wrong"),
        ("request_code", "+4915123456789", used),
        ("create", "Bo", PASSPHRASE, used),
        ("create", "Bo", PASSPHRASE, "another-one"),
    ]


async def test_a_number_of_another_account_is_taken_over_with_its_pin() -> None:
    """Guards the step that appears when the relay asks for the PIN, and that neither PIN nor patience is lost."""
    signup = StageSignup(StageClient(), asks_code=False, pin="4711")
    app = _first_run(signup)
    async with running(app) as pilot:
        await pilot.press("enter")
        await until(pilot, lambda: "Your phone number" in screen_text(app))
        await _fill(pilot, app, "+4915123456789", "Your name")
        await _fill(pilot, app, "Bo", "A passphrase")
        await _fill(pilot, app, PASSPHRASE, "once more")
        await _fill(pilot, app, PASSPHRASE, "The registration PIN of your number")
        await _fill(pilot, app, "123", "4 to 64 characters")
        app.screen.query_one("#pin-field", Input).value = ""
        await _fill(pilot, app, "1234", "This is not the account's registration PIN.")
        assert "1234" not in screen_text(app)
        signup.refusals["create"] = Refused("too-many-tries", "Too many wrong PINs; wait.", 86_000.0)
        await pilot.press("enter")
        await until(pilot, lambda: "Try again in 24 h." in screen_text(app))
        del signup.refusals["create"]
        await pilot.press("escape")
        await until(pilot, lambda: "It encrypts everything" in screen_text(app))
        await pilot.press("enter")
        await until(pilot, lambda: "The registration PIN of your number" in screen_text(app))
        app.screen.query_one("#pin-field", Input).value = ""
        await write(pilot, "4711")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ChatScreen))
    assert signup.calls[-2] == ("create", "Bo", PASSPHRASE, "4711")


async def test_another_number_needs_no_pin_any_more() -> None:
    """Guards the way out for somebody whose number it is not."""
    signup = StageSignup(StageClient(), asks_code=False, pin="4711")
    app = _first_run(signup)
    async with running(app) as pilot:
        await pilot.press("enter")
        await until(pilot, lambda: "Your phone number" in screen_text(app))
        await _fill(pilot, app, "+4915123456789", "Your name")
        await _fill(pilot, app, "Bo", "A passphrase")
        await _fill(pilot, app, PASSPHRASE, "once more")
        await _fill(pilot, app, PASSPHRASE, "The registration PIN of your number")
        for title in ("A passphrase", "Your name", "Your phone number"):
            await pilot.press("escape")
            await until(pilot, lambda title=title: title in screen_text(app))  # type: ignore[misc]  # mypy cannot infer a lambda with a default
        signup.pin = ""
        app.screen.query_one("#phone-field", Input).value = ""
        await _fill(pilot, app, "+4915123456780", "Your name")
        await pilot.press("enter")
        await until(pilot, lambda: "step 4 of 4" in screen_text(app))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ChatScreen))


async def test_a_closed_relay_is_said_at_once() -> None:
    """Guards that nobody types a number into a relay that takes nobody, also not one to take over."""
    app = _first_run(StageSignup(StageClient(), registration="closed", pin="4711"))
    async with running(app) as pilot:
        for _ in range(2):
            await pilot.press("enter")
            await until(pilot, lambda: "takes no new accounts" in screen_text(app))
            assert "Which relay?" in screen_text(app)
            assert app.screen.query_one("#relay-field", Input).has_focus


async def test_what_is_typed_between_two_steps_arrives_in_the_next_one() -> None:
    """Guards people who type faster than the relay answers: no key is lost, and none lands in the wrong field."""
    signup = StageSignup(StageClient(), registration="invite")
    app = _first_run(signup)
    keys = f"\nwrong\b\b\b\b\b{signup.invite}\n+49151234567890\b\n123456\nBo\n{PASSPHRASE}\n{PASSPHRASE}\n"
    names = {"\n": "enter", "\b": "backspace"}
    signup.answers.clear()
    async with running(app) as pilot:
        for char in keys:
            app.post_message(events.Key(names.get(char, char), None if char in names else char))
        await until(pilot, lambda: signup.calls[-1:] == [("connect", RELAY)])
        assert app.screen.query_one("#relay-field", Input).value == RELAY
        signup.answers.set()
        await until(pilot, lambda: isinstance(app.screen, ChatScreen))
    assert ("create", "Bo", PASSPHRASE, signup.invite) in signup.calls
    assert ("request_code", "+4915123456789", signup.invite) in signup.calls


async def test_keys_that_delete_are_done_before_an_enter_right_after_them() -> None:
    """Guards a correction typed in one go: nothing of it reaches the next field, whose answer stays as it was."""
    signup = StageSignup(StageClient(), registration="invite", asks_code=False)
    app = _first_run(signup)
    async with running(app) as pilot:
        await pilot.press("enter")
        await until(pilot, lambda: "Your invite" in screen_text(app))
        await _fill(pilot, app, "wrong", "Your phone number")
        await _fill(pilot, app, "+4915123456789", "This invite is unknown")
        for key in ("backspace",) * 5 + tuple(signup.invite) + ("enter",):
            app.post_message(events.Key(key, key if len(key) == 1 else None))
        await until(pilot, lambda: "Your phone number" in screen_text(app))
        await until(pilot, lambda: app.screen.query_one("#phone-field", Input).has_focus)
        assert app.screen.query_one("#invite-field", Input).value == signup.invite
        assert app.screen.query_one("#phone-field", Input).value == "+4915123456789"


async def test_what_was_typed_ahead_of_a_step_that_fails_is_dropped() -> None:
    """Guards that an answer meant for the next field does not end up in this one."""
    signup = StageSignup(StageClient())
    signup.refusals["connect"] = Unreachable("The relay cannot be reached.")
    app = _first_run(signup)
    async with running(app) as pilot:
        for key in ("enter", "x", "enter"):
            app.post_message(events.Key(key, key if len(key) == 1 else None))
        await until(pilot, lambda: "The relay cannot be reached." in screen_text(app))
        assert app.screen.query_one("#relay-field", Input).value == RELAY
        assert [call[0] for call in signup.calls].count("connect") == 1


async def test_a_profile_whose_signup_was_never_finished_goes_on_with_it() -> None:
    """Guards the person whose relay wanted an invite or a PIN just when the machine went down."""
    signup = StageSignup(StageClient())
    refusal = SignupUnfinished("The proof of the number has expired.", relay=RELAY)
    entrance = StageEntrance(signup.client, refusal=refusal, first_run=signup)
    app = app_for(signup.client, entrance=entrance)
    async with running(app) as pilot:
        await write(pilot, PASSPHRASE)
        await pilot.press("enter")
        await until(pilot, lambda: "Which relay?" in screen_text(app))
        shown = " ".join(screen_text(app).replace("│", " ").split())
        assert "The signup of this profile was never finished. The proof of the number has expired." in shown
        assert app.screen.query_one("#relay-field", Input).value == RELAY
        await pilot.press("enter")
        await until(pilot, lambda: "Your phone number" in screen_text(app))


async def test_code_can_be_sent_again_after_the_countdown() -> None:
    """Guards the wait that the relay asks for."""
    signup = StageSignup(StageClient())
    time = StoppedClock()
    app = _first_run(signup, clock=time)
    async with running(app) as pilot:
        await pilot.press("enter")
        await until(pilot, lambda: "Your phone number" in screen_text(app))
        await _fill(pilot, app, "+4915123456789", "New code (in 30 s)")
        assert app.screen.query_one("#resend", Button).disabled
        time.monotonic_s += 31
        await until(pilot, lambda: not app.screen.query_one("#resend", Button).disabled)
        app.screen.query_one("#resend", Button).press()
        await until(pilot, lambda: len([c for c in signup.calls if c[0] == "request_code"]) == 2)


async def test_a_code_that_is_out_already_can_be_given_to_a_first_run_begun_anew() -> None:
    """Guards whoever quit after the code was sent: the relay sends no other one for a while, and the first is good."""
    signup = StageSignup(StageClient())
    time = StoppedClock()
    app = _first_run(signup, clock=time)
    async with running(app) as pilot:
        await pilot.press("enter")
        await until(pilot, lambda: "Your phone number" in screen_text(app))
        signup.refusals["request_code"] = Refused("resend-too-soon", "A code was sent a moment ago.", 25.0)
        await _fill(pilot, app, "+4915123456789", "The six-digit code")
        shown = " ".join(screen_text(app).replace("│", " ").split())
        assert "is still good" in shown
        assert "relay's log" in shown
        assert "New code (in 25 s)" in shown
        await _fill(pilot, app, "123456", "Your name")
        await _fill(pilot, app, "Bo", "A passphrase")
        await _fill(pilot, app, PASSPHRASE, "once more")
        await write(pilot, PASSPHRASE)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ChatScreen))
    methods = [call[0] for call in signup.calls if call[0] != "close"]
    assert methods == ["connect", "request_code", "expect_code", "check_code", "create"]


async def test_leaving_the_wizard_gives_up_the_signup() -> None:
    """Guards that half a signup does not stay open."""
    signup = StageSignup(StageClient())
    app = _first_run(signup)
    async with running(app) as pilot:
        await pilot.press("ctrl+q")
    assert ("close",) in signup.calls


def test_strength_grades() -> None:
    """Guards the hint: common words and runs are weak however long, four words are strong."""
    assert strength("") is Strength.NONE
    assert strength("password1") is Strength.WEAK
    assert strength("abcdefghijklmnop") is Strength.WEAK
    assert strength("aaaaaaaaaaaaaaaa") is Strength.WEAK
    assert strength("correct horse battery staple") >= Strength.GOOD
    assert strength("kT9#vw!Zq2&mLx7$") is Strength.STRONG


async def test_a_weak_passphrase_is_taken_at_the_second_enter_only() -> None:
    """Guards that nobody encrypts everything under three letters by an Enter too fast, and that it stays possible."""
    signup = StageSignup(StageClient(), asks_code=False)
    app = _first_run(signup)
    async with running(app) as pilot:
        await pilot.press("enter")
        await until(pilot, lambda: "Your phone number" in screen_text(app))
        await _fill(pilot, app, "+4915123456789", "Your name")
        await _fill(pilot, app, "Bo", "A passphrase")
        await _fill(pilot, app, "abc", "weak")
        await _fill(pilot, app, "abc", "Enter once more takes it all the same.")
        assert "create" not in [call[0] for call in signup.calls]
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ChatScreen))
        assert ("create", "Bo", "abc") in signup.calls
