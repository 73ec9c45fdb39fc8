"""What the command line calls a place: a path of this machine, or a URL."""

from mmtsa_cli.artifacts.remote import place_of

__all__ = ["place_of"]
