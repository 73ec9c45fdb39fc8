"""Adapters: a dataset as its authors ship it, to an index."""
