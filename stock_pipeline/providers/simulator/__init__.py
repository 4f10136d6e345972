"""Simulated trades, broken lines among them, and the ledger of what has to come of them.

Seeded: no chance, no clock.
"""
