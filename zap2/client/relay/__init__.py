"""The relay as a transport: one connection, the link that keeps it up, and registration."""
