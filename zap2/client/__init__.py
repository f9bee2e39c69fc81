"""The client: an agent that owns a vault, runs the engine in it and speaks to others through a transport.

`zap2.client.api` is all that a front-end needs to know.
"""
