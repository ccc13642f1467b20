"""What an agent may do: selectors, guardrail templates, and the decision. Pure."""
