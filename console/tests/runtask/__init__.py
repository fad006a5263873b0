"""Tasks on this machine."""
