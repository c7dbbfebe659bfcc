"""The Altegio API, imitated: a real HTTP server for trying things out and for tests.

It knows nothing of the client, and the client nothing of it. ``docs/sandbox.md`` says what it imitates and what not.
"""
