"""The shipped JSON Schemas: what an editor reads, and what the loader checks with, is one and the same."""
# ruff: noqa: E501

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from mcpgate.spec.check import shipped_schema
from tests.spec.files import faults, text

ROOT = Path(__file__).parents[2]
SCHEMAS = ["apps", "connector", "policy", "story"]


def subschemas(value: Any) -> list[dict[str, Any]]:
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    below = [found for child in children for found in subschemas(child)]
    return [value, *below] if isinstance(value, dict) else below


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_shipped_schema_is_valid_and_resolves_within_itself(name: str) -> None:
    schema = shipped_schema(name)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    Draft202012Validator.check_schema(schema)
    references = {found["$ref"] for found in subschemas(schema) if isinstance(found.get("$ref"), str)}
    assert references <= {f"#/$defs/{key}" for key in schema.get("$defs", {})}
    assert set(schema.get("$defs", {})) <= {reference.rpartition("/")[2] for reference in references}


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_shipped_schema_refuses_unknown_keys_and_describes_its_own(name: str) -> None:
    for found in subschemas(shipped_schema(name)):
        if found.get("type") == "object" and isinstance(found.get("properties"), dict):
            assert found.get("additionalProperties") is not None or found.get("description"), found
    for key, found in shipped_schema(name)["properties"].items():
        described = {**shipped_schema(name).get("$defs", {}).get(key, {}), **found}
        assert described.get("description") or described.get("errorMessage") or name != "connector", key


def test_what_is_generated_is_current() -> None:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "scripts" / "generate.py")
    assert spec
    assert spec.loader
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    written = (ROOT / "mcpgate" / "spec" / "policy.schema.json").read_text("utf-8")
    assert generate.GENERATED["mcpgate/spec/policy.schema.json"]() == written
    assert json.loads(written) == shipped_schema("policy")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("title: [a]", "expected a text, found a list; if it is a text, quote it"),
        ("title:\n  - a", "expected a text, found a list"),
        ("title: {name}", "expected a text, found a mapping; if it is a text, quote it"),
        ("title: true", "expected a text, found true; if it is a text, quote it"),
        ("private: [a, b: c]", "expected a text, found a mapping; if it is a text, quote it"),
        ("auth: { type: bearer, secret: { label: A key, or two } }", "unknown key 'or two'; a comma, bracket or colon broke an unquoted text? quote it"),
        ("auth: { type: bearer, secret }", "expected a mapping, found nothing; a comma, bracket or colon broke an unquoted text? quote it"),
        ("name: shop", "unknown key 'name'; known here: language, connector, title, docs, description, "),
        ("auth: { type: bearer, prefix: Bot }", "unknown key 'prefix'; known here: type, name, scheme, username, secret, probe"),
        (f"title: {'x' * 300}\ntimeout: {'y' * 300}", f"expected a number, found '{'y' * 57}…'"),
    ],
)  # fmt: skip
def test_a_wrong_shape_is_told_in_plain_words(given: str, says: str) -> None:
    (found,) = faults(text(given))
    assert found == says or found.startswith(says + ", ") or (says.endswith(", ") and found.startswith(says))
