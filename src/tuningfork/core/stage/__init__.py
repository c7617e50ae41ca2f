"""What every stage shares: its frozen parameters, its paths, its program."""
