"""The demonstration: two companies' identity providers, three business applications and an HR system, each a process.

`python -m demo` starts Countersign with them. The product never imports this package; of the product only
`demo.__main__` uses the embedded start, and the companies' processes import none of it: they sign, encrypt and verify
with their own code, as other companies' software would.
"""
