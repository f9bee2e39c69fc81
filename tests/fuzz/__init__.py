"""Fuzzing of every decoder and of `receive`: seeded and short in CI, guided by coverage with `make fuzz`.

`targets` are what one input is tried on; `mutation` makes inputs from genuine ones; `guided` runs a target under
atheris; `envelopes` counts to a million. Nothing of the product is imported here: atheris must come first.
"""
