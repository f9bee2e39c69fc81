"""`kill -9` at random moments under load: a few rounds of what `python -m bench.relay_kills` does a hundred times."""

from __future__ import annotations

import random
from pathlib import Path

from tests.relay_kills import Folder, die_often


async def test_nothing_that_was_answered_is_lost_and_nobodys_order_changes(tmp_path: Path) -> None:
    toll = await die_often(Folder(tmp_path / "data"), 6, random.Random(4))
    assert (toll.lost, toll.out_of_order) == (0, 0)
    # Both ways of being safe were under way when it died: at the receiver, and on the relay's disk.
    assert 0 < toll.direct < toll.answered
    assert toll.answered == toll.sent
