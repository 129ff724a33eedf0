"""What sources of people need of a terminal."""
