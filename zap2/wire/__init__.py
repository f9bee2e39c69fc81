"""What travels: frames between client and relay, and the contents inside encrypted messages. Bounded, typed, pure."""
