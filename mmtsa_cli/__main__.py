"""The command `mmtsa`, also `python -m mmtsa_cli`: before the command line is there, Ctrl-C ends it without a word."""

import signal


def main() -> None:
    """Load the command line and run it."""
    raises = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if raises:
        # Raised in the middle of an import it would print a traceback.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from mmtsa_cli.cli import main as run

    if raises:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    run()


if __name__ == "__main__":
    main()
