"""Pan-STARRS1: sky cells and the stack catalogue."""
