"""The commands about apps: `mcpgate apps`, `freeze` and `thaw`."""
