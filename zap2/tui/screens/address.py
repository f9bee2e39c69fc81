"""The link, and the address that one hands out so that others can join."""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.widgets import Button, Static

from zap2.address import RelayAddress, is_loopback
from zap2.client.api import Client, LinkChanged, LinkState, LinkView
from zap2.client.relay.login import remedy_of_refusal
from zap2.tui.qr import qr_lines
from zap2.tui.screens.dialog import Dialog
from zap2.tui.words import link_words
from zap2.tui.work import Failed, Happened, ask

_MEANS = {
    LinkState.ONLINE: "Messages go out and come in at once.",
    LinkState.CONNECTING: "What you send waits here and goes out by itself.",
    LinkState.OFFLINE: "What you send waits here and goes out by itself when the relay can be reached.",
    LinkState.NOT_TRUSTED: (
        "The relay proved another key than the one this profile knows. Somebody may stand in between, or its host "
        "set it up again. Nothing is sent. Ask the host by another way whether the key changed."
    ),
}


class AddressScreen(Dialog[None]):
    """Shows the state of the link and the relay's address with its QR code."""

    EXPLANATION = (
        "Link and address",
        "The address names the relay and holds the fingerprint of its key, so that nobody can pretend to be it. "
        "Friends give it to 'zap2 chat --relay'.",
    )

    def __init__(self, client: Client, hosting: str | None) -> None:
        super().__init__()
        self._client = client
        self._hosting = hosting

    def compose(self) -> ComposeResult:
        """Make the parts."""
        address = self._hosting or self._client.me.relay
        title = "You host this relay" if self._hosting else "Your relay"
        words = (
            "It runs inside this Zap2 and stops when you quit. Give this address to friends:"
            if self._hosting
            else "Friends who want to write to you need an account at the same relay, and where that takes new people "
            "by invite only, an invite that its host makes. Its address:"
        )
        if self._hosting and is_loopback(RelayAddress.parse(self._hosting).host):
            words = (
                "It runs inside this Zap2 and stops when you quit. Its address works on this computer only; "
                "`zap2 serve --help` says how to host for others."
            )
        with VerticalScroll(classes="dialog", id="address", can_focus=True):
            yield Static(title, classes="dialog-title")
            yield Static("", id="link-state", markup=False)
            yield Static(words, classes="dialog-text")
            yield Static(address, id="relay-address", markup=False)
            yield Static(f"They type:  zap2 chat --relay {address}", id="type-this", markup=False)
            yield Static("", id="address-error", classes="field-error", markup=False)
            with Horizontal(classes="dialog-buttons"):
                yield Button("Close", id="close", variant="primary", compact=True)
                yield Button("Copy address", id="copy", compact=True)
                yield Button("Connect now", id="reconnect", compact=True)
            yield Static(Content("\n".join(qr_lines(address))), id="qr")

    def on_mount(self) -> None:
        """Show the link as it is."""
        self.say("#address-error", "")
        self._show(self._client.link)
        self.query_one("#close").focus()

    def _show(self, link: LinkView) -> None:
        means = _MEANS[link.state]
        if link.refused:
            means = f"{remedy_of_refusal(link.refused)} What you send waits here meanwhile."
        self.query_one("#link-state", Static).update(f"{self._state_words(link)}\n{means}")
        self.query_one("#reconnect").display = link.state is not LinkState.ONLINE

    def _state_words(self, link: LinkView) -> str:
        return f"! {link.detail}" if link.refused else link_words(link, link.retry_in_s)

    @on(Happened)
    def _happened(self, message: Happened) -> None:
        if isinstance(message.event, LinkChanged):
            self._show(message.event.link)

    @on(Button.Pressed, "#close")
    def _close(self) -> None:
        self.dismiss(None)

    @on(Button.Pressed, "#copy")
    def _copy(self) -> None:
        self.app.copy_to_clipboard(self._hosting or self._client.me.relay)
        self.app.notify("Address copied, if your terminal allows it.", markup=False)

    @on(Button.Pressed, "#reconnect")
    def _reconnect(self) -> None:
        ask(self, self._client.reconnect())

    @on(Failed)
    def _failed(self, message: Failed) -> None:
        message.stop()
        self.say_error("#address-error", message.error)
