"""What a run will take, before anything is fetched: shards, tiles, galaxies, bytes, time and disk."""
