"""Work beside the screen: the client is asked in a worker, and its answer comes back as a message.

Only message handlers touch widgets. A `Zap2Error` becomes a `Failed` message with words for the person, and so does
any other error, because a fault in one request must never take the conversation down.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from textual.message import Message
from textual.widget import Widget

from zap2.client.api import Event
from zap2.errors import Zap2Error

T = TypeVar("T")


class Happened(Message, bubble=False):
    """The client told of an event; the app hands it to every open screen."""

    def __init__(self, event: Event) -> None:
        super().__init__()
        self.event = event


class Failed(Message):
    """A request did not work. `what` says which, where a handler needs to know."""

    def __init__(self, error: Zap2Error, what: str = "") -> None:
        super().__init__()
        self.error = error
        self.what = what


def unexpected(error: Exception) -> Zap2Error:
    """Turn a fault of this program into words; its class name helps whoever reports it, and nothing secret."""
    return Zap2Error(
        f"Something went wrong inside Zap2 ({type(error).__name__}).",
        "Nothing that you wrote is lost. Try again; if it stays, please report it.",
    )


def ask(
    node: Widget,
    request: Coroutine[Any, Any, T],
    answer: Callable[[T], Message] | None = None,
    *,
    what: str = "",
    failed: Callable[[Zap2Error], Message] | None = None,
    group: str = "ask",
    exclusive: bool = False,
) -> None:
    """Run `request` in a worker of `node` and post `answer(result)`, or `failed(error)`, to it.

    Args:
        what: passed on in the `Failed` message that is posted when `failed` is not given.
        group, exclusive: an exclusive request cancels those of its group that still run.
    """

    async def run() -> None:
        try:
            result = await request
        except Exception as error:
            known = error if isinstance(error, Zap2Error) else unexpected(error)
            node.post_message(failed(known) if failed else Failed(known, what))
        else:
            if answer is not None:
                node.post_message(answer(result))

    node.run_worker(run(), group=group, exclusive=exclusive, exit_on_error=False)
