"""What a simulated galaxy is: its kind, its components and their true parameters."""
