"""A SCIM 2.0 application to be provisioned: a process of its own, an append-only log of what was done to it, faults.

`python -m tests.fakes.scim_target --port 0 --log FILE`; tests start it through `running.ScimTarget`.
The log is the judge of every fault test: a line for each effect on an account or group, written before the answer is.
`honest` is scim2-server's own core; `lean` (`--fast`) says the same on the wire in a tenth of its time, for thousands
of people. (A PATCH is answered 204 by the one and 200 with the account by the other: RFC 7644 section 3.5.2 has both.)
Faults are switched at `/faults`, what the application's own people do at `/acts`.
"""
