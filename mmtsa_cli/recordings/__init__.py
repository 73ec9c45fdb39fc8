"""Recordings as they lie on disk: the index, series of sensors, video, and what is wrong with them."""
