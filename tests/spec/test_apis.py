"""The APIs the language was tried on: a slice of each as YAML alone, and the exact requests it makes.

All of them can be said but the one that signs its requests (DynamoDB). Sentry stands for those that know
their addresses only with a slash at the end, Linear for GraphQL.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mcpgate.apps import open_account
from mcpgate.arguments import check_arguments
from mcpgate.catalog import load_connector
from mcpgate.engine.request import build
from mcpgate.engine.response import read, shape
from mcpgate.json_schema import build_validator
from mcpgate.values import Account, Request

APIS = Path(__file__).with_name("apis")
SETTINGS = {
    "jira": {"site": "acme", "email": "ann@acme.example"},
    "twilio": {"account": "AC" + "0" * 32},
    "jenkins": {"host": "acme", "user": "ann"},
    "snowflake": {"account": "acme-prod"},
}
TWILIO = f"https://api.twilio.com/2010-04-01/Accounts/AC{'0' * 32}"
UUID = "59833787-2cf9-4fdf-8782-e53db20768a5"

CALLS: list[tuple[str, dict[str, Any], str, Any]] = [
    ("slack_test", {}, "POST https://slack.com/api/auth.test", None),
    (
        "slack_list_channels",
        {"types": ["public_channel", "private_channel"], "limit": 2},
        "GET https://slack.com/api/conversations.list?exclude_archived=true"
        "&types=public_channel%2Cprivate_channel&limit=2",
        None,
    ),
    (
        "slack_post_message",
        {"channel": "C1", "text": "Grüße"},
        "POST https://slack.com/api/chat.postMessage",
        {"channel": "C1", "text": "Grüße"},
    ),
    (
        "gmail_list_messages",
        {"q": "from:ann is:unread", "labelIds": ["INBOX", "IMPORTANT"]},
        "GET https://gmail.googleapis.com/gmail/v1/users/me/messages"
        "?q=from%3Aann%20is%3Aunread&labelIds=INBOX&labelIds=IMPORTANT",
        None,
    ),
    (
        "gmail_get_message",
        {"message": "m1"},
        "GET https://gmail.googleapis.com/gmail/v1/users/me/messages/m1"
        "?format=metadata&metadataHeaders=Subject&metadataHeaders=From",
        None,
    ),
    (
        "gmail_change_labels",
        {"message": "m1", "removeLabelIds": ["UNREAD"]},
        "POST https://gmail.googleapis.com/gmail/v1/users/me/messages/m1/modify",
        {"removeLabelIds": ["UNREAD"]},
    ),
    (
        "gmail_trash_message",
        {"message": "m1"},
        "POST https://gmail.googleapis.com/gmail/v1/users/me/messages/m1/trash",
        None,
    ),
    (
        "calendar_list_events",
        {"calendar": "de.german#holiday@group.v.calendar.google.com", "after": "2026-11-22T00:00:00+01:00"},
        "GET https://www.googleapis.com/calendar/v3/calendars/"
        "de.german%23holiday%40group.v.calendar.google.com/events"
        "?singleEvents=true&orderBy=startTime&timeMin=2026-11-22T00%3A00%3A00%2B01%3A00",
        None,
    ),
    (
        "calendar_create_event",
        {"summary": "Lunch", "start": "2026-11-22T12:00:00Z", "end": "2026-11-22T13:00:00Z", "notify": "all"},
        "POST https://www.googleapis.com/calendar/v3/calendars/primary/events?sendUpdates=all",
        {
            "start": {"dateTime": "2026-11-22T12:00:00Z"},
            "end": {"dateTime": "2026-11-22T13:00:00Z"},
            "summary": "Lunch",
        },
    ),
    (
        "jira_search",
        {"jql": "project = ABC", "maxResults": 5},
        "POST https://acme.atlassian.net/rest/api/3/search/jql",
        {"fields": ["summary", "status"], "jql": "project = ABC", "maxResults": 5},
    ),
    (
        "jira_create_issue",
        {"project": "ABC", "kind": "Bug", "summary": "It breaks"},
        "POST https://acme.atlassian.net/rest/api/3/issue",
        {"fields": {"project": {"key": "ABC"}, "issuetype": {"name": "Bug"}, "summary": "It breaks"}},
    ),
    (
        "jira_move_issue",
        {"issue": "ABC-1", "transition": "31"},
        "POST https://acme.atlassian.net/rest/api/3/issue/ABC-1/transitions",
        {"transition": {"id": "31"}},
    ),
    (
        "notion_query",
        {"database": UUID, "filter": {"property": "Done", "checkbox": {"equals": False}}},
        f"POST https://api.notion.com/v1/databases/{UUID}/query",
        {"filter": {"property": "Done", "checkbox": {"equals": False}}},
    ),
    (
        "notion_append",
        {"block": "b1", "text": "Milk"},
        "PATCH https://api.notion.com/v1/blocks/b1/children",
        {"children": [{"object": "block", "paragraph": {"rich_text": [{"text": {"content": "Milk"}}]}}]},
    ),
    (
        "hubspot_list_contacts",
        {"properties": ["email", "phone"]},
        "GET https://api.hubapi.com/crm/v3/objects/contacts?archived=false&properties=email%2Cphone",
        None,
    ),
    (
        "hubspot_find_contact",
        {"email": "a@b.example"},
        "POST https://api.hubapi.com/crm/v3/objects/contacts/search",
        {
            "filterGroups": [
                {"filters": [{"propertyName": "email", "operator": "EQ", "value": "a@b.example"}]}
            ],
            "limit": 1,
        },
    ),
    (
        "hubspot_delete_contact",
        {"contact": "1"},
        "DELETE https://api.hubapi.com/crm/v3/objects/contacts/1",
        None,
    ),
    (
        "twilio_list_messages",
        {"after": "2026-11-01", "PageSize": 50},
        f"GET {TWILIO}/Messages.json?DateSent%3E=2026-11-01&PageSize=50",
        None,
    ),
    ("twilio_get_message", {"sid": "SM0af"}, f"GET {TWILIO}/Messages/SM0af.json", None),
    (
        "twilio_send_message",
        {"To": "+4915112345", "From": "+4930123", "MediaUrl": ["https://a.example/1", "https://a.example/2"]},
        f"POST {TWILIO}/Messages.json",
        b"To=%2B4915112345&From=%2B4930123"
        b"&MediaUrl=https%3A%2F%2Fa.example%2F1&MediaUrl=https%3A%2F%2Fa.example%2F2",
    ),
    (
        "github_list_issues",
        {"owner": "octo", "repo": "hello", "state": "open", "page": 2},
        "GET https://api.github.com/repos/octo/hello/issues?state=open&page=2",
        None,
    ),
    (
        "github_get_file",
        {"owner": "octo", "repo": "hello", "path": "src/a b.py"},
        "GET https://api.github.com/repos/octo/hello/contents/src/a%20b.py",
        None,
    ),
    (
        "github_star",
        {"owner": "octo", "repo": "hello"},
        "PUT https://api.github.com/user/starred/octo/hello",
        None,
    ),
    (
        "dropbox_get_account",
        {},
        "POST https://api.dropboxapi.com/2/users/get_current_account",
        None,
    ),
    (
        "dropbox_list_folder",
        {"path": ""},
        "POST https://api.dropboxapi.com/2/files/list_folder",
        {"path": "", "recursive": False},
    ),
    (
        "airtable_list_records",
        {
            "base": "app1",
            "table": "Maße & Gewichte",
            "fields": ["Name"],
            "sort": [{"field": "Name", "direction": "asc"}],
        },
        "GET https://api.airtable.com/v0/app1/Ma%C3%9Fe%20%26%20Gewichte"
        "?fields[]=Name&sort[0][field]=Name&sort[0][direction]=asc",
        None,
    ),
    (
        "airtable_create_record",
        {"base": "app1", "table": "t", "fields": {"Name": "Milk", "Done": None}},
        "POST https://api.airtable.com/v0/app1/t",
        {"records": [{"fields": {"Name": "Milk", "Done": None}}], "typecast": True},
    ),
    (
        "tmdb_search_movies",
        {"query": "star wars", "page": 2},
        "GET https://api.themoviedb.org/3/search/movie?include_adult=false&query=star%20wars&page=2",
        None,
    ),
    (
        "tmdb_rate_movie",
        {"movie": 11, "value": 8.5},
        "POST https://api.themoviedb.org/3/movie/11/rating",
        {"value": 8.5},
    ),
    (
        "jenkins_list_jobs",
        {},
        "GET https://acme.ci.example.com/api/json?tree=jobs%5Bname%2Ccolor%5D",
        None,
    ),
    (
        "jenkins_get_log",
        {"job": "team/job/web"},
        "GET https://acme.ci.example.com/job/team/job/web/lastBuild/consoleText",
        None,
    ),
    (
        "jenkins_start_build",
        {"job": "web", "parameters": {"BRANCH": "main", "CLEAN": "true"}},
        "POST https://acme.ci.example.com/job/web/buildWithParameters",
        b"BRANCH=main&CLEAN=true",
    ),
    (
        "snowflake_select",
        {"statement": "select 1", "timeout": 5},
        "POST https://acme-prod.snowflakecomputing.com/api/v2/statements",
        {"parameters": {"MULTI_STATEMENT_COUNT": "1"}, "statement": "select 1", "timeout": 5},
    ),
    (
        "snowflake_get_partition",
        {"handle": "01aa", "number": 1},
        "GET https://acme-prod.snowflakecomputing.com/api/v2/statements/01aa?partition=1",
        None,
    ),
    (
        "linear_create_issue",
        {"input": {"teamId": "t1", "title": "It breaks"}},
        "POST https://api.linear.app/graphql",
        {
            "query": "mutation ($input: IssueCreateInput!) { issueCreate(input: $input) { issue { id } } }",
            "variables": {"input": {"teamId": "t1", "title": "It breaks"}},
        },
    ),
    (
        "sentry_list_projects",
        {"organization": "acme"},
        "GET https://sentry.io/api/0/organizations/acme/projects/",
        None,
    ),
]

PAGES: list[tuple[str, dict[str, str], Any, Any]] = [
    (
        "slack_list_channels",
        {},
        [{"id": "C1", "name": "general", "topic": {"value": "All of it"}}],
        {"cursor": "dGVhbTpDMUg5UkVTR0w="},
    ),
    ("gmail_list_messages", {}, [{"id": "m1", "threadId": "t1"}], {"pageToken": "123"}),
    (
        "jira_search",
        {},
        [{"key": "ABC-1", "fields": {"summary": "Broken", "status": {"name": "Open"}}}],
        {"nextPageToken": "CAEaAggD"},
    ),
    (
        "notion_query",
        {},
        [{"id": "p1", "properties": {"Name": {"title": [{"plain_text": "Milk"}]}}}],
        {"start_cursor": "fe2cc560"},
    ),
    (
        "hubspot_list_contacts",
        {},
        [{"id": "1", "properties": {"email": "a@b.example"}}],
        {"after": "NTI1Cg"},
    ),
    (
        "twilio_list_messages",
        {},
        [{"sid": "SM1", "status": "sent", "body": "Hi"}],
        {"PageSize": 1, "Page": 1, "PageToken": "PASM1"},
    ),
    (
        "github_list_issues",
        {
            "link": '<https://api.github.com/x?page=1>; rel="prev", '
            '<https://api.github.com/x?page=3>; rel="next"'
        },
        [{"number": 1, "title": "It breaks", "user": {"login": "ann"}, "labels": [{"name": "bug"}]}],
        {"page": 3},
    ),
    ("github_search_issues", {}, [{"number": 1, "title": "It breaks"}], None),
    ("airtable_list_records", {}, [{"id": "rec1", "fields": {"Größe": 3}}], {"offset": "itr1/rec1"}),
    (
        "tmdb_search_movies",
        {},
        [{"id": 11, "title": "Star Wars", "release_date": "1977-05-25"}],
        {"page": 2},
    ),
    ("linear_list_issues", {}, [{"id": "i1", "title": "It breaks"}], {"after": "c1"}),
    (
        "sentry_list_projects",
        {"link": '<https://sentry.io/api/0/x/?cursor=0:1:0>; rel="next"; results="true"'},
        [{"id": "1", "slug": "web"}],
        {"cursor": "0:1:0"},
    ),
]


def account_of(tool: str) -> Account:
    name = tool.partition("_")[0]
    return open_account(load_connector(str(APIS / f"{name}.yaml")), SETTINGS.get(name, {}))


def request_of(tool: str, arguments: dict[str, Any]) -> Request:
    account = account_of(tool)
    found = account.connector.tools[tool]
    return build(account, found, check_arguments(found, build_validator(found.schema), arguments))


@pytest.mark.parametrize(("tool", "arguments", "line", "body"), CALLS, ids=[tool for tool, *_ in CALLS])
def test_a_call_becomes_the_request_that_the_vendor_documents(
    tool: str, arguments: dict[str, Any], line: str, body: Any
) -> None:
    request = request_of(tool, arguments)
    assert f"{request.method} {request.url}" == line
    sent = request.body if body is None or isinstance(body, bytes) else json.loads(request.body or b"")
    assert sent == body


@pytest.mark.parametrize(("tool", "headers", "items", "following"), PAGES, ids=[tool for tool, *_ in PAGES])
def test_a_page_tells_the_arguments_of_the_next(
    tool: str, headers: dict[str, str], items: Any, following: Any
) -> None:
    account = account_of(tool)
    found = account.connector.tools[tool]
    required = {name: _example(found.schema["properties"][name]) for name in found.schema.get("required", ())}
    request = request_of(tool, required)
    reply = read(account.connector, found, request, 200, headers, json.dumps(found.sample).encode())
    page = json.loads(shape(account.connector, found, reply).text)
    assert page == {"items": items, **({"next": following} if following else {})}


def _example(schema: dict[str, Any]) -> Any:
    return UUID if schema.get("format") == "uuid" else "app1"


@pytest.mark.parametrize(
    ("tool", "name", "value"),
    [
        ("notion_query", "Notion-Version", "2022-06-28"),
        ("github_list_issues", "Accept", "application/vnd.github+json"),
        ("github_get_file", "Accept", "application/vnd.github.raw+json"),
        ("github_get_file", "X-GitHub-Api-Version", "2022-11-28"),
        ("twilio_send_message", "Content-Type", "application/x-www-form-urlencoded"),
    ],
)
def test_headers_are_those_of_the_connector_and_the_tool(tool: str, name: str, value: str) -> None:
    arguments = dict(next(arguments for called, arguments, *_ in CALLS if called == tool))
    assert [text for header, text in request_of(tool, arguments).headers if header == name] == [value]


def test_every_api_is_called() -> None:
    assert {tool.partition("_")[0] for tool, *_ in CALLS} == {path.stem for path in APIS.glob("*.yaml")}
