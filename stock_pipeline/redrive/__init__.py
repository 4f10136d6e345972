"""Redrive: messages of the dead-letter queue back into the stream.

Here belong the forms of those messages, their lines, the ledger, the counts of lines, parked messages, and the rate.
The decision is `domain.redrive_plan`'s, the form of a rejected line `streaming`'s.
"""
