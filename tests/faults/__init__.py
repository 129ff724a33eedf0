"""Faults over real processes: what provisioning does when its worker is killed, its stores go away and targets lie.

`make test-faults` starts PostgreSQL, Redis, workers and targets itself and fails where it cannot. After every fault
the target's own append-only log is compared with what was wanted: none lost, none doubled, and "0 compared" fails.
`kill_run` is the long one, `liar_and_clerk` the story of a leaver; `test_*.py` have the single faults.
"""
