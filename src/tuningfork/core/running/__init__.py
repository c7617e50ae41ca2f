"""How long work runs: ahead of its consumer, in bounded memory, with progress."""
