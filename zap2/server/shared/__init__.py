"""What makes several relays one to their users: tokens, limits and wake-ups that they share.

Nothing in here holds mail. What Redis loses costs a log-in with the key, a limit that counts anew, a moment of
waiting: never a message.
"""
