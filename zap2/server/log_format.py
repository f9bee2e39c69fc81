"""How the relay's log lines look: for a person, or one JSON object a line for a machine."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Final, Literal

LogFormat = Literal["text", "json"]

_TEXT: Final = "%(asctime)s %(levelname)s %(message)s"
# Without fractions of a second: a verification code is to be the only run of six digits in its line.
_TIME: Final = "%Y-%m-%d %H:%M:%S"


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def formatter(log_format: LogFormat) -> logging.Formatter:
    """Give the formatter of the relay's log."""
    return _Json() if log_format == "json" else logging.Formatter(_TEXT, _TIME)
