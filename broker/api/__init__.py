"""The management API, /api/v1: what an operator does in the console, for programs.

Owns its edges alone: authentication by our own access tokens, problem details, paging, preconditions, idempotence and
the OpenAPI document. Everything is read from the rooms' models and written by the rooms' services, as from the console.
"""
