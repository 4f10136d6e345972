"""CPU time of one batch, in the processor and in other ways, on the same trades.

What compaction costs belongs to `bench.compaction`.
"""
