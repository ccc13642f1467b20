"""YAML text → checked connectors, presets and policies. Pure: texts come in, frozen values go out."""
