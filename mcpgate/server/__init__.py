"""The protocol's two wires: stdio is our own, HTTP is the SDK's."""
