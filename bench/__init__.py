"""What the processor, compaction and queries cost, beside other ways to do the same.

`results/` has the figures. Nothing of the pipeline imports this package.
"""
