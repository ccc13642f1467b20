"""What is taken for a mutation: nothing that an API would run as one may be missed."""

from __future__ import annotations

import pytest

from mcpgate.spec.graphql import is_mutation, variables


@pytest.mark.parametrize(
    "document",
    [
        "{ shop { name } }",
        "query { mutation }",
        "query Q($mutation: Boolean) { a(mutation: $mutation) { subscription } }",
        "# mutation { a }\n{ b }",
        '{ a(text: "} mutation { b }") }',
        '{ a(text: """ } mutation { b } """) }',
        '{ a(text: """ say \\""" mutation """) }',
        '{ a(text: "\\" } mutation { b") }',
        '{ a(text: "") { b } }',
        "query A { a } fragment F on T { b }",
    ],
)
def test_a_query_is_a_query(document: str) -> None:
    assert not is_mutation(document)


@pytest.mark.parametrize(
    "document",
    [
        "mutation { a }",
        "mutation{a}",
        "  \n,mutation M($x: Int) @d { a }",
        "subscription { a }",
        "query Q { a } mutation M { b }",
        "fragment F on T { a } mutation { b }",
        "\ufeffmutation { a }",
        # a bare carriage return ends a comment, a line feed is not needed
        "# nothing\rmutation { a }",
        "{ a } # nothing\rmutation { b }",
        # strings that end elsewhere than a hasty reader thinks
        '{ a(x: """\\\\""" """) } mutation { b } { c(x: """ """) }',
        '{ a(x: """ \\""" """) } mutation { b }',
        '{ a(x: "\\\\") } mutation { b }',
        '{ a(x: "") } mutation { b(x: "") }',
        '{ a(x: "\n mutation { b }',
        # what nobody can read is not taken for a query
        "{ a",
        "a }",
        "} mutation {",
        "{ a ) }",
    ],
)
def test_a_mutation_hides_nowhere(document: str) -> None:
    assert is_mutation(document)


def test_variables_are_those_of_the_document() -> None:
    assert variables('query ($a: Int, $b_1: [ID!]) { f(a: $a, t: "$no") } # $neither') == {"a", "b_1"}
