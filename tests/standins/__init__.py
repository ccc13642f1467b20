"""Servers on loopback for the tests to talk to: some scripted here, some that nobody here wrote.

`loopback` keeps what it was sent and answers as the test says. `processes` starts stripe-stateful-mock and
localstripe, each as a process of its own. The fixtures stand in `tests/conftest.py`.
"""
