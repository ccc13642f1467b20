"""MCP over HTTP: the SDK's protocol behind our own checks."""
