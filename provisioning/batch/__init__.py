"""Batch: people from files, for HR systems that send nothing else.

Owns reading a file, its plan, its application in resumable steps, and what was rejected and why. Does not own which
value wins (broker.directory.authority).
"""
