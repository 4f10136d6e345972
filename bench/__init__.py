"""What the processor costs, measured against other ways to write it. Nothing of the pipeline imports this."""
