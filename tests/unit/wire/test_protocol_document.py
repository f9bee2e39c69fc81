"""docs/protocol-relay.md says of frames, codes and limits what the code does."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

from zap2.server.limits import Limits
from zap2.wire import frames as f
from zap2.wire.fields import CloseCode, ErrorCode

_DOCUMENT = (Path(__file__).parents[3] / "docs" / "protocol-relay.md").read_text("utf-8")
_ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in _DOCUMENT.splitlines()
    if line[:1] == "|"
]


def test_every_frame_stands_there_with_its_tag_and_its_fields_in_order() -> None:
    described = {}
    for row in _ROWS:
        if row[0].isdigit() and len(row) >= 3 and row[1].isidentifier():
            fields = re.sub(r"\([^)]*\)", "", row[2])
            described[int(row[0]), row[1]] = tuple(
                field.split()[0] for field in fields.split(",") if field.strip()
            )
    kinds = [*get_args(f.ClientFrame), *get_args(f.RelayFrame)]
    assert described == {
        (kind.__struct_config__.tag, kind.__name__): kind.__struct_fields__ for kind in kinds
    }


def test_every_error_code_stands_there() -> None:
    described = {code for row in _ROWS if len(row) == 3 for code in row[0].split(", ")}
    assert set(ErrorCode) <= described


def test_every_close_code_stands_there() -> None:
    numbers = {int(number) for row in _ROWS for number in re.findall(r"\b[14]\d{3}\b", row[0])}
    own = {int(code) for code in CloseCode if code not in (CloseCode.NORMAL, CloseCode.TRY_LATER)}
    assert own <= numbers


def test_the_limits_are_the_defaults() -> None:
    limits = Limits()
    rows = {(row[0], row[1]): row[2:] for row in _ROWS if len(row) == 4}
    for key, rate in {
        ("handshakes", "source"): limits.handshakes_per_source,
        ("StartVerification", "source"): limits.verifications_per_source,
        ("codes sent", "source"): limits.sent_codes_per_source,
        ("CheckCode", "source"): limits.codes_per_source,
        ("wrong codes, of whichever number", "source"): limits.wrong_codes_per_source,
        ("Register", "source"): limits.registrations_per_source,
        ("wrong PINs, of whichever account", "source"): limits.wrong_pins_per_source,
        ("log-ins", "source"): limits.logins_per_source,
        ("log-ins and renewals", "account"): limits.logins_per_account,
        ("SetPin and SetListed", "account"): limits.pins_per_account,
        ("SetDeliveryToken", "account"): limits.delivery_tokens_per_account,
        ("Lookup", "account"): limits.lookups_per_account,
        ("Lookup", "source"): limits.lookups_per_source,
        ("Fetch", "account"): limits.fetches_per_account,
        ("pairs given out", "account and target"): limits.pairs_per_account_and_target,
        ("pairs given out", "target"): limits.pairs_per_target,
        ("Publish", "account"): limits.publishes_per_account,
        ("wrong delivery tokens", "source"): limits.wrong_tokens_per_source,
    }.items():
        burst, then = rows[key]
        assert int(burst.replace(",", "")) == rate.burst
        count, _, period = re.sub(" in | a ", "|", then.partition(" (")[0]).partition("|")
        seconds = {"second": 1, "minute": 60}.get(period) or int(period.split()[0])
        assert abs(float(count) / seconds - rate.per_s) < 1e-9


def test_the_limits_of_mail_are_the_defaults() -> None:
    limits = Limits()
    rows = {(row[0], row[1]): row[2:] for row in _ROWS if len(row) == 4}
    for key, count, size_b in (
        (("Send", "account"), limits.sends_per_account, limits.send_bytes_per_account),
        (("SendSealed", "token"), limits.sealed_per_token, limits.sealed_bytes_per_token),
        (("SendSealed", "source"), limits.sealed_per_source, limits.sealed_bytes_per_source),
    ):
        burst, then = rows[key]
        assert burst == f"{count.burst:,} and {size_b.burst / 2**20:.0f} MiB"
        assert then == f"{count.per_s:,} and {size_b.per_s / 2**20:.0f} MiB a second"
