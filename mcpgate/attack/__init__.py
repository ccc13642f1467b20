"""Tries to get round a policy: makes the attempts, and judges what would be sent. Pure.

The judge shares nothing with the rules it judges: it reads the request as a lenient server would.
"""
