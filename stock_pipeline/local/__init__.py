"""The embedded default: the same code on loopback, without account, Docker or network.

Services of the local stack belong here. The event source poller, DuckDB, the demo and the load have packages of their
own.
"""
