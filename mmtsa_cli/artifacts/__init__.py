"""Directories that one stage writes and the next one reads."""
