"""A second generator of test scenes. It shares no code with `tuningfork.simulate`, and no network is trained on it."""
