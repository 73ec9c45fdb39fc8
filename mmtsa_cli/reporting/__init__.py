"""Plots and tables as files and text."""
