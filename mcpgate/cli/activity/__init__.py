"""The commands about the log and the ledger: `mcpgate activity` and `budgets`."""
