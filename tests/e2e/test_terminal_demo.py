"""`zap2 demo` in a real terminal: a minute with Robin, and nothing left behind."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.e2e.commands import Machine
from tests.e2e.terminal import CTRL_Q, ENTER, Terminal


def test_the_demo_answers_and_leaves_nothing(machine: Machine, tmp_path: Path) -> None:
    """Robin greets, what one writes becomes read and is answered over the real relay, Ctrl+Q ends it with a hint."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    environment = {**machine.environment, "TMPDIR": str(temporary)}
    for name in ("ZAP2_CONFIG_DIR", "ZAP2_PASSPHRASE_FILE"):
        del environment[name]
    with Terminal([sys.executable, "-m", "zap2", "demo"], environment) as terminal:
        terminal.wait_for("Robin", "online", "Write")
        terminal.type(ENTER)
        terminal.wait_for("I am Robin")
        terminal.type("hello Robin")
        terminal.wait_for("hello Robin")
        terminal.type(ENTER)
        terminal.wait_for("✓✓ read")
        terminal.wait_for("That was 11 bytes", "512")
        terminal.type("burst 3")
        terminal.type(ENTER)
        terminal.wait_for("1 of 3", "2 of 3", "3 of 3")
        terminal.type("safety")
        terminal.type(ENTER)
        terminal.wait_for("You should see the same")
        terminal.type(CTRL_Q)
        assert terminal.wait_for_end() == 0
    assert b"Nothing was kept. Next:" in terminal.written
    assert b"Traceback" not in terminal.written
    assert list(machine.home.rglob("*")) == []
    assert list(temporary.rglob("*")) == []
    assert not machine.config.exists()
