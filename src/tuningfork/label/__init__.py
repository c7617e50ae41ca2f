"""What an astronomer labels: queue, page, store."""
