"""Tests of requests that leave the Console."""
