"""Finds in texts what rules are about: addresses, links, keywords, credentials, personal data. Pure."""
