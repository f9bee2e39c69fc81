"""The commands by name: which module runs each one, and its line in `zap2 --help`."""

from __future__ import annotations

import argparse
import importlib
from dataclasses import dataclass
from typing import Final, Protocol, cast


class CommandModule(Protocol):
    """What a command's module offers."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the command's own arguments; the global ones are there already."""
        ...

    def run(self, arguments: argparse.Namespace) -> int:
        """Run the command and give its exit code; errors of the tree in `zap2.errors` go up."""
        ...


@dataclass(frozen=True, slots=True)
class Command:
    """One command of `zap2`."""

    module: str
    summary: str
    uses_profile: bool = True
    """Whether the global options, which are about profiles, mean anything to it; they are taken in any case."""

    def load(self) -> CommandModule:
        """Import the command's module and, with it, what it needs."""
        return cast("CommandModule", importlib.import_module(f"zap2.cli.{self.module}"))


COMMANDS: Final = {
    "demo": Command("demo", "a conversation in one minute; leaves nothing behind"),
    "chat": Command("chat", "open the messenger (the first run sets a profile up)"),
    "serve": Command("serve", "run a relay", uses_profile=False),
    "signup": Command("signup", "set a profile up without a screen"),
    "send": Command("send", "send a message, or standard input"),
    "receive": Command("receive", "print unread messages"),
    "history": Command("history", "print earlier messages"),
    "contacts": Command("contacts", "list, add, accept, block and rename people"),
    "verify": Command("verify", "compare safety numbers"),
    "profile": Command("profile", "the profiles on this machine; registration PIN; whether one is found"),
    "admin": Command(
        "admin", "look after a relay on this machine: figures, invites, blocks, backups", uses_profile=False
    ),
    "doctor": Command("doctor", "check the installation, the profile and the way to the relay"),
}
