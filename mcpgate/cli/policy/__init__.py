"""The commands under `mcpgate policy`."""
