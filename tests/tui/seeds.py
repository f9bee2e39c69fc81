"""Conversations to look at: what the snapshots and the pictures show."""

from __future__ import annotations

from tests.tui.stage import DAY_MS, MINUTE_MS, NOW_MS, StageClient
from zap2.client.api import ContactState, MessageState, Trust
from zap2.ids import ConversationId


def furnished() -> tuple[StageClient, ConversationId]:
    """A client with a few conversations; gives it and the liveliest of them."""
    client = StageClient()
    ada = client.add_person("Ada Lovelace", trust=Trust.VERIFIED, number="+44 20 7946 0018")
    grace = client.add_person("Grace Hopper", number="+1 212 555 0123")
    cleo = client.add_person("Cléo", trust=Trust.VERIFIED)
    yuki = client.add_person("雪 Yuki", number="+81 3 1234 5678")
    note = client.add_note()
    stranger = client.add_person("Max", state=ContactState.REQUEST)

    client.write(cleo, "À demain !", at_ms=NOW_MS - 9 * DAY_MS, tell=False)
    client.write(cleo, "Bonne nuit", at_ms=NOW_MS - 9 * DAY_MS, state=MessageState.READ, tell=False)
    client.write(
        note,
        "Relay key backup is in the blue folder",
        at_ms=NOW_MS - 3 * DAY_MS,
        state=MessageState.READ,
        tell=False,
    )
    client.write(
        yuki, "写真ありがとう 🙏 来週また会いましょう", at_ms=NOW_MS - DAY_MS - 50 * MINUTE_MS, tell=False
    )
    client.write(
        yuki, "👍🏽", at_ms=NOW_MS - DAY_MS - 49 * MINUTE_MS, state=MessageState.DELIVERED, tell=False
    )
    client.write(
        stranger,
        "Hi, Ada gave me your number. Is the relay still open for new people?",
        at_ms=NOW_MS - 95 * MINUTE_MS,
        tell=False,
    )
    for offset, text in (
        (70, "The nightly build is green again."),
        (69, "I left the compiler notes in the usual place."),
        (12, "Can you look at the patch before tonight?"),
    ):
        client.write(grace, text, at_ms=NOW_MS - offset * MINUTE_MS, tell=False)

    day = NOW_MS - DAY_MS
    lines = (
        (
            day - 125 * MINUTE_MS,
            "The engine weaves algebraic patterns just as the loom weaves flowers and leaves.",
            None,
        ),
        (day - 124 * MINUTE_MS, "I wrote the table of operations down; it is longer than I thought.", None),
        (
            day - 120 * MINUTE_MS,
            "Read it twice. Note G is the one people will still read in a hundred years.",
            MessageState.READ,
        ),
        (day - 119 * MINUTE_MS, "Can I show it to the others?", MessageState.READ),
        (day - 70 * MINUTE_MS, "Yes, but keep the draft between us for now.", None),
        (NOW_MS - 48 * MINUTE_MS, "Lunch? The place by the river has a table at one.", MessageState.READ),
        (
            NOW_MS - 45 * MINUTE_MS,
            "One is good. Bring the punched cards: does the second stack really read the same both ways? 🙂",
            None,
        ),
        (
            NOW_MS - 31 * MINUTE_MS,
            "Packed. This is the loop:\n\n    for n in range(1, 11):\n        print(n, bernoulli(n))",
            MessageState.READ,
        ),
        (NOW_MS - 29 * MINUTE_MS, "Lovely. Did you compare our safety numbers yet?", None),
        (NOW_MS - 27 * MINUTE_MS, "Yesterday on the phone, all twelve groups.", MessageState.DELIVERED),
        (NOW_MS - 26 * MINUTE_MS, "On my way.", MessageState.SENT),
    )
    for at_ms, text, state in lines:
        client.write(ada, text, at_ms=at_ms, state=state, tell=False)
    for conversation in (ada, cleo, yuki, note):
        view = client.views[conversation]
        client.views[conversation] = type(view)(
            **{name: getattr(view, name) for name in view.__slots__} | {"unread": 0}
        )
    return client, ada
