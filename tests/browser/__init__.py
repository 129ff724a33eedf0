"""The demonstration, driven in Chromium as a person and an operator would.

Owns the browser, what no page may do (`audit.js`, `visitor.py`) and the pictures in `shots/`. Knows the broker from
outside only: its addresses and its commands. `run.sh` starts the demonstration and runs it all; `test_https.py` starts
a second broker, whose companies are each on a site of their own (`secure_company.py`).
"""
