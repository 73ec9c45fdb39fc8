"""Segments and windows in time, and the store that training draws from."""
