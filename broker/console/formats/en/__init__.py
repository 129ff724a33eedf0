"""English, the language of the console.

Holds `formats`, where Django looks for it.
"""
