"""A stand-in API made from a connector's samples: no account, no network, no credential."""
