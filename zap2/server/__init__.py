"""The relay: connections, handlers, mailboxes and prekeys. It knows accounts and sealed envelopes, and nothing inside.

`zap2.server.relay` is the relay as one object; `zap2.server.serve` runs it for a host.
"""
