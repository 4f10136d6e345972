"""Who calls what of AWS, and what the planned policies say to it: a recorder, an evaluator, and what services call for
their callers.
"""
