"""The ground floor: what every guest of Countersign needs.

Owns parties, people, keys, sessions, tokens, the book of events, traces and the console.
Does not own protocols that a browser carries between sites (federation).
Never imports a wing: what it needs from one is a dotted name in settings.
"""
