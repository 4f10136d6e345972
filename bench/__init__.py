"""What the processor, compaction and queries cost, beside other ways. Nothing of the pipeline imports this."""
