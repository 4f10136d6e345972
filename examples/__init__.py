"""What to copy from: docs/extend.md says how."""
