"""MMTSA: what people are doing, from video and wearable sensors together."""

__version__ = "0.1.0"
