"""What targets need of a terminal."""
