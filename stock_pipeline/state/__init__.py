"""The realtime state as columns, and as the bytes of an item. `domain.symbol_state` says what it is.

`aws` and `streaming` share it here, because neither may import the other. It needs numpy, which of the functions only
the processor has.
"""
