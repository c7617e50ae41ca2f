"""What the networks say about every stamp: each looks at it once, in several orientations, and the answers are stored."""
