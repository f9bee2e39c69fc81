"""Settings that all tests share."""

from __future__ import annotations

from hypothesis import settings

# `pytest --hypothesis-profile=long`: many more examples, for `make fuzz`.
settings.register_profile("long", max_examples=10_000, deadline=None)
