"""The suite on what production runs on: PostgreSQL, Redis, a Celery worker and a web server of their own processes.

Owns those processes, and the tests marked `services`: claims about concurrency and about outages. `make test` leaves
these out, and `make test-services` runs them together with everything else.
"""
