"""One function a request: decode what is in the frame, authorise, one store call, answer.

A handler gives the answer, or raises `Refused`, which the session turns into an Error frame.
"""
