"""Hostile input: every reader of files that others may have made, and what may come of any bytes at all."""
