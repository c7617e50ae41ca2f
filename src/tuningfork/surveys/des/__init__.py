"""The Dark Energy Survey: tiles and catalogue."""
