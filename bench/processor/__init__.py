"""CPU time of one batch: the processor and other ways to write it, on the same trades.

`python -m bench.processor` runs it. What compaction costs belongs to `bench.compaction`.
"""
