"""Lambda's event source mapping for Kinesis on this machine, because moto calls no function.

AWS's rules of batching, retries, bisecting and failure destinations belong here, and their poller. What the called
function does with a batch does not.
"""
