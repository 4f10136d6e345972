"""Lambda's event source mapping for Kinesis, on this machine: moto stores records and calls nobody.

Here belong AWS's rules of batching, retries, bisecting and failure destinations, and the poller that follows them.
What the called function does with a batch is none of it.
"""
