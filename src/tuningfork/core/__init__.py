"""What every stage shares: configuration, frozen parameters, files, columns, flags."""
