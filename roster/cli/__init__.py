"""The command line: `roster`."""
