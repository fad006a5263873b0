"""Tests of what alerts say, when, and to whom."""
