"""`make load`: simulated trades through the pipeline while faults are injected, and the accounting afterwards.

The simulator and its ledger belong to `providers.simulator`.
"""
