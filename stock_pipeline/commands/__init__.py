"""The commands of `stock-pipeline`, a file each: arguments and printing. The work belongs to the other packages.

`add_to` adds a command's parser. `run` imports what it needs. So `--help` is instant, and no command needs an extra
that it does not use.
"""
