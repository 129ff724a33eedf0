"""The door to business applications, per protocol."""
