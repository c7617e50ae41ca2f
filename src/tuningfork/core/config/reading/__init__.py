"""From the text of a configuration to checked values, and from faults to lines that a user understands."""
