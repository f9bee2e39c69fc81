"""Everything that is fuzzed, by name."""

from __future__ import annotations

from tests.fuzz.decoders import DECODERS, Target
from tests.fuzz.receiving import RECEIVERS
from tests.fuzz.relay_answers import RELAY_ANSWERS
from tests.fuzz.relay_feed import RELAY_FEED

TARGETS: dict[str, Target] = {**DECODERS, **RECEIVERS, **RELAY_ANSWERS, **RELAY_FEED}
