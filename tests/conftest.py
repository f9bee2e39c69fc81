"""Settings that all tests share."""

from __future__ import annotations

from hypothesis import settings

# No deadline for an example: what a slow or busy machine takes says nothing about what is tested.
settings.register_profile("plain", deadline=None)
settings.load_profile("plain")
# `pytest --hypothesis-profile=long`: many more examples, for `make fuzz`.
settings.register_profile("long", max_examples=10_000, deadline=None)
