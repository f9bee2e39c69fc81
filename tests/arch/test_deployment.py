"""The files that deploy a relay, and the page about it, speak of commands and options that there are."""

from __future__ import annotations

import argparse
import re
import shlex
from pathlib import Path
from typing import Final

import pytest

from zap2.cli import admin, serve

ROOT: Final = Path(__file__).resolve().parents[2]
_OPTION: Final = re.compile(r"(?<![\w-])--[a-z][a-z-]+")
_SERVE: Final = re.compile(r"zap2 serve[^`\n#]*")
_ADMIN: Final = re.compile(r"zap2 admin[^`\n#|]*")


def _options(module: object) -> set[str]:
    parser = argparse.ArgumentParser()
    module.add_arguments(parser)  # type: ignore[attr-defined]  # what a command's module offers
    return {option for action in parser._actions for option in action.option_strings}


@pytest.mark.parametrize(
    "name",
    [
        "Dockerfile",
        "compose.yaml",
        "compose.cluster.yaml",
        "deploy/zap2.service",
        "docs/operations.md",
        "README.md",
    ],
)
def test_every_option_of_the_relay_exists(name: str) -> None:
    """A renamed option would only be noticed on somebody's server."""
    text = (ROOT / name).read_text(encoding="utf-8").replace("\\\n", " ")
    known = _options(serve)
    if name.startswith("compose."):
        given = set(re.findall(r"^ +- (--[a-z-]+)", text, re.MULTILINE))
        assert given
    elif name == "Dockerfile":
        entry = next(line for line in text.splitlines() if line.startswith("ENTRYPOINT"))
        given = set(_OPTION.findall(entry + text.split("\nCMD", 1)[1]))
        assert '"zap2", "serve"' in entry
    else:
        given = {option for line in _SERVE.findall(text) for option in _OPTION.findall(line)}
        assert given
    assert given - known == set()


def test_every_admin_command_of_the_operations_page_parses() -> None:
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    commands = {line.strip() for line in _ADMIN.findall(text)}
    assert len(commands) > 5
    for command in commands:
        parser = argparse.ArgumentParser(exit_on_error=False)
        admin.add_arguments(parser)
        parser.parse_args(shlex.split(command)[2:] or ["stats"])


@pytest.mark.parametrize("name", ["check-image", "check-caddy", "check-cluster", "check-compose"])
def test_the_scripts_can_be_run(name: str) -> None:
    path = ROOT / "deploy" / name
    assert path.stat().st_mode & 0o111
    assert path.read_text(encoding="utf-8").startswith("#!/usr/bin/env bash\n")


def test_the_container_is_closed() -> None:
    """Non-root, and in compose.yaml a read-only root without capabilities."""
    assert re.search(r"^USER 10001:10001$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    compose = (ROOT / "compose.yaml").read_text()
    relay = compose.split("  relay:\n")[1].split("\n  caddy:\n")[0]
    for line in ("read_only: true", "- ALL", "no-new-privileges:true"):
        assert line in relay
    assert "ports:" not in relay  # only Caddy reaches it


def test_the_cluster_is_closed_and_can_start() -> None:
    """Without capabilities root may not change owners, which Valkey's image does where it starts as root."""
    compose = (ROOT / "compose.cluster.yaml").read_text()
    relays, _, services = compose.partition("\nservices:\n")
    parts = dict(re.findall(r"^  ([\w-]+):\n((?:(?:    .*)?\n)+)", services, re.MULTILINE))
    assert set(parts) >= {"relay-one", "relay-two", "postgres", "valkey", "caddy"}
    for text in (relays, parts["valkey"], parts["caddy"]):
        for line in ("read_only: true", "- ALL", "no-new-privileges:true"):
            assert line in text
    assert "    user: valkey\n" in parts["valkey"]
    assert [name for name, text in parts.items() if "ports:" in text] == ["caddy"]
    for service in ("postgres", "valkey"):
        assert f"    {service}:\n      condition: service_healthy\n" in relays
        assert "    healthcheck:\n" in parts[service]
