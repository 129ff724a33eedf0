"""How the console writes dates: with seconds, a 24-hour clock and the zone, since traces are read beside logs.

Django finds the formats of a language in the package of that name.
"""
