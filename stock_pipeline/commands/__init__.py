"""The commands of `stock-pipeline`, one a file: arguments, wiring, printing; the work is done elsewhere.

Each module has `add_to(commands)`, which adds its parser. It imports what it needs when it runs, so that `--help` is
instant and no command needs an extra that it does not use.
"""
