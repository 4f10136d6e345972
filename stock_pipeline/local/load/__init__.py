"""`make load`: simulated trades through the pipeline while faults are injected, and the accounting afterwards.

The simulator and its ledger, which knows what is right, are in `providers.simulator`.
"""
