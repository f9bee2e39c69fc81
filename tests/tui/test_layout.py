"""The pure layout: whatever happens to a transcript, its lines are those of a layout made from scratch."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.tui.stage import ME, NOW_MS, uid_of
from zap2.client.api import MessageState, MessageView
from zap2.ids import ConversationId, MessageId
from zap2.tui.layout import TranscriptLayout
from zap2.tui.lines import Line
from zap2.tui.wrap import MIN_WIDTH, cell_len, clip, clusters, expand, wrap

CONVERSATION = ConversationId("uid:x")
WIDTHS = st.integers(min_value=16, max_value=70)
TEXTS = st.one_of(
    st.text(alphabet="ab \n\t", max_size=60),
    st.text(alphabet="ab \n雪é\u0301👍🏽\u200d👩🇩🇪", max_size=40),
    st.text(max_size=30),
)


def _local(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, UTC)


def _describe(day: date) -> str:
    return day.isoformat()


def _message(
    position: int, text: str, state: MessageState | None, minutes: int, author: str = "peer"
) -> MessageView:
    at_ms = NOW_MS + minutes * 60_000
    return MessageView(
        CONVERSATION,
        position,
        MessageId(b"%016d" % position),
        ME if state else uid_of(author),
        "me" if state else author,
        state is not None,
        text,
        at_ms,
        at_ms,
        state,
        "no route to the relay" if state is MessageState.FAILED else None,
    )


APART = st.builds(
    _message,
    st.integers(min_value=1, max_value=60),
    TEXTS,
    st.sampled_from([None, None, None, *MessageState]),
    st.integers(min_value=0, max_value=4000),
    st.sampled_from(["ada", "grace", "雪"]),
)
CROWDED = st.builds(
    _message,
    st.integers(min_value=1, max_value=5),
    st.sampled_from(["ok", "a few words more"]),
    st.sampled_from([None, MessageState.SENT, MessageState.READ]),
    st.integers(min_value=0, max_value=3),
    st.just("ada"),
)
MESSAGES = st.one_of(APART, CROWDED)
ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), MESSAGES),
        st.tuples(st.just("load"), st.lists(MESSAGES, max_size=8)),
        st.tuples(st.just("width"), WIDTHS),
        st.tuples(st.just("unread"), st.none() | st.integers(min_value=0, max_value=61)),
        st.tuples(st.just("keep"), st.integers(min_value=1, max_value=20)),
    ),
    max_size=12,
)


def _layout(width: int) -> TranscriptLayout:
    return TranscriptLayout(width, _local, _describe)


def _all_lines(rows: TranscriptLayout) -> list[Line]:
    return [rows.line(y) for y in range(rows.line_count)]


@settings(max_examples=150, deadline=None)
@given(st.lists(MESSAGES, max_size=10), WIDTHS, ACTIONS)
def test_changes_give_the_lines_of_a_layout_from_scratch(
    start: list[MessageView], width: int, actions: list[tuple[str, object]]
) -> None:
    """Guards every shortcut: measuring only neighbours, moving sums, keeping made lines."""
    rows = _layout(width)
    rows.load(start)
    unread: int | None = None
    for action, value in actions:
        match action, value:
            case "put", MessageView():
                rows.put(value)
            case "load", list():
                rows.load(value)
            case "width", int():
                rows.set_width(value)
            case "keep", int():
                rows.keep_newest(value)
            case _:
                assert value is None or isinstance(value, int)
                unread = value
                rows.set_unread(value)
        _all_lines(rows)
    fresh = _layout(rows.width)
    fresh.load(rows.messages)
    fresh.set_unread(unread)
    assert _all_lines(rows) == _all_lines(fresh)


@settings(max_examples=100, deadline=None)
@given(st.lists(MESSAGES, min_size=1, max_size=12), WIDTHS)
def test_every_line_fits_and_belongs_to_its_message(messages: list[MessageView], width: int) -> None:
    """Guards the right edge, and that a row and its message find each other."""
    rows = _layout(width)
    rows.load(messages)
    for y in range(rows.line_count):
        line = rows.line(y)
        assert cell_len(line.plain) <= width
        assert rows.messages[rows.index_at(y)].position == line.position
    for message in rows.messages:
        own = rows.rows_of(message.position)
        assert own is not None
        assert {rows.line(y).position for y in own} == {message.position}


@settings(max_examples=100, deadline=None)
@given(st.lists(MESSAGES, min_size=1, max_size=12), WIDTHS, WIDTHS, st.data())
def test_reflow_keeps_the_top_message_and_its_character(
    messages: list[MessageView], before: int, after: int, data: st.DataObject
) -> None:
    """Guards that a resize does not lose the place: the same message, and the character that was at the top."""
    rows = _layout(before)
    rows.load(messages)
    y = data.draw(st.integers(min_value=0, max_value=rows.line_count - 1))
    top = rows.line(y)
    anchor = rows.anchor(y)
    assert anchor is not None
    assert rows.locate(anchor) == y or rows.line(rows.locate(anchor)).position == top.position
    rows.set_width(after)
    found = rows.line(rows.locate(anchor))
    assert found.position == top.position
    if top.start >= 0 and top.end > top.start:
        assert found.start <= top.start
        later = rows.locate(anchor) + 1
        if later < rows.line_count and rows.line(later).position == top.position:
            assert rows.line(later).start < 0 or rows.line(later).start > top.start


@settings(max_examples=60, deadline=None)
@given(st.lists(MESSAGES, min_size=1, max_size=10), st.lists(MESSAGES, max_size=10), WIDTHS, st.data())
def test_older_messages_above_do_not_move_the_place(
    loaded: list[MessageView], older: list[MessageView], width: int, data: st.DataObject
) -> None:
    """Guards loading a page while reading: the top row shows the same text afterwards."""
    rows = _layout(width)
    rows.load(replace(message, position=message.position + 100) for message in loaded)
    y = data.draw(st.integers(min_value=0, max_value=rows.line_count - 1))
    top = rows.line(y)
    anchor = rows.anchor(y)
    assert anchor is not None
    rows.load(older)
    found = rows.line(rows.locate(anchor))
    assert found.position == top.position
    if top.start >= 0:
        assert (found.start, found.end) == (top.start, top.end)


def test_a_page_does_not_undo_an_event() -> None:
    """Guards the order of a state that came as an event and the older page that arrives after it."""
    rows = _layout(40)
    rows.put(_message(1, "hello", MessageState.READ, 0))
    rows.load([_message(1, "hello", MessageState.SENT, 0), _message(2, "later", None, 1)])
    assert [message.state for message in rows.messages] == [MessageState.READ, None]


def test_state_is_written_out_once_for_a_run_and_a_failure_says_why() -> None:
    """Guards glyph and word of own messages."""
    rows = _layout(60)
    rows.load(
        [
            _message(1, "one", MessageState.READ, 0),
            _message(2, "two", MessageState.READ, 1),
            _message(3, "three", MessageState.FAILED, 2),
        ]
    )
    lines = [line.plain for line in _all_lines(rows)]
    assert lines[2].endswith("one" + " " * (len(lines[2]) - 7) + "✓✓")
    assert lines[3].endswith("✓✓ read")
    assert lines[4].endswith("! failed")
    assert "no route to the relay" in lines[5]
    assert "press r" in lines[5].lower()


@settings(max_examples=300, deadline=None)
@given(TEXTS, st.integers(min_value=MIN_WIDTH, max_value=30))
@example("aaaaaa  \u0301", 2)
@example("\u200d\u200da\U0001f44d", 2)
def test_wrapping_loses_only_spaces_and_newlines(text: str, width: int) -> None:
    """Guards the text itself, and that no line is wider than asked."""
    text = expand(text)
    spans = wrap(text, width)
    shown = [text[start:end] for start, end in spans]
    assert all(cell_len(line) <= width for line in shown)
    kept = {index for start, end in spans for index in range(start, end)}
    assert all(text[index] in " \n" for index in range(len(text)) if index not in kept)
    assert spans == sorted(spans)


@settings(max_examples=200, deadline=None)
@given(
    st.text(alphabet="ae\u0301\u0308👩\u200d👍🏽🇩🇪雪 ", max_size=40), st.integers(min_value=4, max_value=20)
)
def test_wrapping_never_cuts_a_character(text: str, width: int) -> None:
    """Guards combining marks, joined emoji and flags at the end of a line."""
    inside = {index for start, end, _ in clusters(text) for index in range(start + 1, end)}
    assert not inside & {start for start, _ in wrap(text, width)}


@given(st.text(alphabet="abc d\n", max_size=80), st.integers(min_value=MIN_WIDTH, max_value=20))
def test_plain_letters_break_like_all_others(text: str, width: int) -> None:
    """Guards that the quick way for ASCII and the general one agree."""
    marked = text.replace("a", "é")
    assert wrap(text, width) == wrap(marked, width)


@given(TEXTS.map(lambda text: " ".join(text.split())), st.integers(min_value=0, max_value=20))
def test_clip_fits_and_says_that_something_is_missing(text: str, width: int) -> None:
    """Guards the columns of the conversation list."""
    clipped = clip(text, width)
    assert cell_len(clipped) <= width
    assert clipped == text or clipped.endswith("…") or width == 0
