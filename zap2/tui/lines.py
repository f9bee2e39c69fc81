"""What a painted row of a transcript is made of. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What a stretch of a line is, for its style."""

    BLANK = "blank"
    DAY = "day"
    RULE = "rule"
    UNREAD = "unread"
    MISSING = "missing"
    NAME_MINE = "name-mine"
    NAME_THEIRS = "name-theirs"
    TIME = "time"
    TEXT = "text"
    STATE = "state"
    STATE_READ = "state-read"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True)
class Line:
    """One painted row. `start` and `end` are the message's characters in it, both -1 where it shows none."""

    position: int
    spans: tuple[tuple[Role, str], ...]
    start: int = -1
    end: int = -1

    @property
    def plain(self) -> str:
        """The row's characters."""
        return "".join(text for _, text in self.spans)
