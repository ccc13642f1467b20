"""mcpgate stands between an AI agent and an API: YAML in, MCP tools out, nothing past the policy."""

__version__ = "0.1.0"
