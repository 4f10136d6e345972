"""The embedded default: the same code on loopback, with no account, no Docker and no network.

Modules here are services of the local stack: moto, Dagster, the functions, seeds, the endless market. What is made of
them has a package of its own: the event source poller, DuckDB in place of Athena, the demo, the load.
"""
