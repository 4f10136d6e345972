"""What failed, and its way back: messages of the dead-letter queue into the stream again.

Here belong the forms of those messages, the ledger of tries, parked messages, and the pace. What a try decides is
`domain.redrive_plan`'s; what a rejected line looks like is `streaming`'s.
"""
