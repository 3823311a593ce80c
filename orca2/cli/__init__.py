"""The `orca2` command: parse, call, print. No logic that another caller could want."""
