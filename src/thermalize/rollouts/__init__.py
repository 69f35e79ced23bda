"""Emulators run for as long as anyone wants.

engine      the loop: emulate, stabilise, notice what is lost
recording   what happens on the way, into a store
library     the same from Python, on tensors
"""
