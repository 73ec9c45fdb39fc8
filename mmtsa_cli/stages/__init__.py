"""One file a stage: read directories, call the core, write one directory. Parts of a stage, and what some of them
share, lie in the packages beside them; here, what all of them use.
"""
