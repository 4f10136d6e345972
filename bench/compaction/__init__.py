"""CPU time and memory of compacting a session, with this project and with other tools.

What queries read afterwards belongs to `bench.queries`.
"""
