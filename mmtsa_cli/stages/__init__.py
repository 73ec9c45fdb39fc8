"""One file a stage: read directories, call the core, write one directory."""
