"""Simulated trades, broken lines among them, and the ledger of what must come of them.

Everything follows from a seed: no chance, no clock.
"""
