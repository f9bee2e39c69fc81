"""Where the relay keeps things: one port, and its implementation on SQLite."""
