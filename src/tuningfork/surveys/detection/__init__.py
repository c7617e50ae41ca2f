"""Sources found on the tiles themselves."""
