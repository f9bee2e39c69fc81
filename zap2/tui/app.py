"""The application: from the locked door to the chat, and out again with everything kept."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import ClassVar

from textual import events, on
from textual.app import App
from textual.binding import Binding, BindingType
from textual.command import CommandPalette
from textual.filter import ANSIToTruecolor, LineFilter, NoColor
from textual.message import Message
from textual.widgets import Input, TextArea

from zap2.client.api import Client, Entrance
from zap2.errors import Zap2Error
from zap2.tui import themes
from zap2.tui.clock import Clock
from zap2.tui.guard import TerminalGuard
from zap2.tui.keys import bind, know_alt_enter
from zap2.tui.palette import Commands
from zap2.tui.screens.chat import NARROW_CELLS, ChatScreen
from zap2.tui.screens.help import HelpScreen
from zap2.tui.screens.unlock import Entered, Unfinished, UnlockScreen
from zap2.tui.screens.wizard import WizardScreen
from zap2.tui.words import error_words
from zap2.tui.work import Failed, Happened, unexpected

_WIDTHS = [(0, "-narrow"), (NARROW_CELLS, "-normal"), (110, "-wide")]
_HEIGHTS = [(0, "-short"), (30, "-tall")]
_THEME = "theme"
"""The preference that holds the theme's name."""


class Zap2App(App[None]):
    """The terminal interface of one profile.

    Args:
        entrance: the door to the profile: unlocked if it exists, else made by the wizard.
        default_relay: an address that the wizard offers.
        hosting: the address to hand out when the relay runs inside this process.
        opened: a client that is open already; no passphrase is asked.
        intro: words above the conversations, for the demo.
        clock: where the time comes from.
        theme: a name out of `themes.LABELS`; by default the terminal's needs decide, then what was chosen before.

    The app closes the client it was given or opened when it ends; run it with `run_app`.
    """

    TITLE = "Zap2"
    CSS_PATH = "app.tcss"
    COMMANDS: ClassVar = {Commands}
    HORIZONTAL_BREAKPOINTS = _WIDTHS
    VERTICAL_BREAKPOINTS = _HEIGHTS
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("ctrl+q", "quit", "Quit; drafts are kept", "app.quit", priority=True),
        Binding("ctrl+c", "help_quit", show=False, system=True, id="app.interrupt"),
    ]

    class Subscribed(Message):
        """Events flow; whatever is read from now on misses nothing."""

    def __init__(
        self,
        entrance: Entrance,
        *,
        default_relay: str | None = None,
        hosting: str | None = None,
        opened: Client | None = None,
        intro: str | None = None,
        clock: Clock | None = None,
        theme: str | None = None,
    ) -> None:
        self._guard = TerminalGuard()
        know_alt_enter()
        super().__init__()
        self.client: Client | None = opened
        self._first_notice = None if opened is None else entrance.notice
        self._entrance = entrance
        self._default_relay = default_relay
        self._hosting = hosting
        self._intro = intro
        self._clock = clock or Clock()
        for ours in themes.THEMES:
            self.register_theme(ours)
        self._remembers_theme = theme is None and not self.no_color
        self.theme = theme or (themes.MONOCHROME if self.no_color else themes.DARK)

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Give our own colour names to themes that do not define them."""
        return themes.default_variables()

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Paint without any colour where NO_COLOR is set, and let nothing harmful through."""
        filters = list(super().get_line_filters())
        if self.no_color:
            filters = [one for one in filters if isinstance(one, ANSIToTruecolor)] + [NoColor()]
        return [*filters, self._guard]

    # Coming in

    async def on_mount(self) -> None:
        """Open the first screen."""
        if self.client is not None:
            self._enter(self.client)
        elif self._entrance.exists:
            await self.push_screen(UnlockScreen(self._entrance))
        else:
            await self.push_screen(WizardScreen(self._entrance, self._default_relay, self._clock))

    @on(Entered)
    def _entered(self, message: Entered) -> None:
        self.client, self._first_notice = message.client, message.notice
        self._enter(message.client)

    @on(Unfinished)
    async def _unfinished(self, message: Unfinished) -> None:
        error = message.error
        await self.switch_screen(
            WizardScreen(self._entrance, error.relay, self._clock, unfinished=str(error))
        )

    def _enter(self, client: Client) -> None:
        self.run_worker(self._consume(client), group="events", exclusive=True, exit_on_error=False)

    async def _consume(self, client: Client) -> None:
        """Turn the client's events into messages, for as long as it is open."""
        try:
            async with client.events() as happenings:
                self.post_message(self.Subscribed())
                async for event in happenings:
                    self.post_message(Happened(event))
        except Exception as error:
            self.post_message(Failed(error if isinstance(error, Zap2Error) else unexpected(error)))

    @on(Subscribed)
    async def _subscribed(self) -> None:
        if self.client is not None:
            await self._recall_theme(self.client)
            chat = ChatScreen(self.client, self._clock, hosting=self._hosting, intro=self._intro)
            if len(self.screen_stack) > 1:
                await self.switch_screen(chat)
            else:
                await self.push_screen(chat)
            if self._first_notice is not None:
                chat.post_message(Happened(self._first_notice))

    async def _recall_theme(self, client: Client) -> None:
        """Use the theme that was chosen last time, unless this terminal can show no colours."""
        if not self._remembers_theme:
            return
        try:
            theme = await client.preference(_THEME)
        except Zap2Error as error:
            self.post_message(Failed(error))
            return
        if theme in themes.LABELS:
            self.theme = theme

    def action_choose_theme(self, theme: str) -> None:
        """Use a theme from now on, also the next time."""
        self.theme = theme
        if self.client is not None and self._remembers_theme:
            self.run_worker(self._keep_theme(self.client, theme), group="theme", exit_on_error=False)

    async def _keep_theme(self, client: Client, theme: str) -> None:
        try:
            await client.set_preference(_THEME, theme)
        except Zap2Error as error:
            self.post_message(Failed(error))

    @on(Happened)
    def _happened(self, message: Happened) -> None:
        for screen in self.screen_stack[1:]:
            screen.post_message(Happened(message.event))

    @on(Failed)
    def _failed(self, message: Failed) -> None:
        self.notify(error_words(message.error), severity="error", timeout=10, markup=False)

    # Everywhere

    @on(events.DescendantFocus)
    def _steady_cursor(self, event: events.DescendantFocus) -> None:
        """Blink no cursor where no motion is wanted (TEXTUAL_ANIMATIONS=none)."""
        if self.animation_level == "none" and isinstance(event.widget, Input | TextArea):
            event.widget.cursor_blink = False

    def action_explain(self) -> None:
        """Explain what is focused."""
        screen = self.screen
        if not isinstance(screen, HelpScreen | CommandPalette):
            self.push_screen(HelpScreen(screen.focused, screen))

    def action_help_quit(self) -> None:
        """Ctrl+C copies in a field; elsewhere people expect it to end the program."""
        self.notify("Ctrl+Q quits. Drafts are kept.", markup=False)

    async def action_quit(self) -> None:
        """End; what is written and not sent stays as a draft."""
        for screen in self.screen_stack:
            if isinstance(screen, ChatScreen):
                try:
                    await screen.finish()
                except Zap2Error as error:
                    self.notify(error_words(error), severity="error", markup=False)
                    return
        self.exit()


async def run_app_async(
    entrance: Entrance,
    *,
    default_relay: str | None = None,
    hosting: str | None = None,
    opened: Client | None = None,
    intro: str | None = None,
    theme: str | None = None,
) -> int:
    """Run the interface in the running event loop, close its client, and give the code to exit with."""
    app = Zap2App(
        entrance, default_relay=default_relay, hosting=hosting, opened=opened, intro=intro, theme=theme
    )
    try:
        await app.run_async()
    finally:
        if app.client is not None:
            await app.client.close()
    return app.return_code or 0


def run_app(
    entrance: Entrance,
    *,
    default_relay: str | None = None,
    hosting: str | None = None,
    theme: str | None = None,
) -> int:
    """Run the interface in an event loop of its own. A client that is open already needs `run_app_async`."""
    return asyncio.run(run_app_async(entrance, default_relay=default_relay, hosting=hosting, theme=theme))
