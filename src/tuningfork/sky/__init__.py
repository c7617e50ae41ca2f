"""The sky: its shards, footprints and coordinates."""
