"""One file a subcommand: options, one call, printing."""
