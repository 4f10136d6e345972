"""A game day: each part is broken in turn, and the planned alarms are evaluated on what was printed meanwhile.

`account` has the parts, `scenes` and `aws_scenes` break them, `quiet` breaks nothing, `page` writes docs/alarms.md.
"""
