"""The engine: what a messenger decides, without network, clock or randomness of its own.

`zap2.engine.engine` explains how it works; the other modules are its decisions, one subject each.
"""
