"""Zap2: a terminal messenger with end-to-end encryption, its own relay and an encrypted vault."""

__version__ = "0.1.0"
