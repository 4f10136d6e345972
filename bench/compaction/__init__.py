"""CPU time and memory of compacting a session: this project and other tools, on the same files.

`python -m bench.compaction` runs it. `bench.queries` says what queries read afterwards.
"""
