"""`python -m mmtsa_cli`: the same as the command `mmtsa`."""

from mmtsa_cli.cli import main

if __name__ == "__main__":
    main()
