"""Lambda's event source mapping for Kinesis on this machine, because moto calls no function.

AWS's rules of batching, retries and failure destinations belong here, not what the called function does.
"""
