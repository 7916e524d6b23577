"""The command line: parse, call, and turn errors into sentences."""
