"""The command line, ``embedseg-ops``."""
