"""Turns a checked call into HTTP and a reply into what the agent reads; knows no API by name."""
