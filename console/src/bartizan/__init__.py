"""Bartizan: the Console and the command line."""
