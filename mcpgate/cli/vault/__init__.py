"""The commands about credentials: `connect`, `accounts`, `disconnect` and `mcpgate vault`."""
