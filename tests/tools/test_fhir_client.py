"""The FHIR client: what it asks, what it asks again, and what it makes of answers."""

import asyncio
import json
import pickle
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from wardround.core.errors import ToolError, ToolRefused, UsageError
from wardround.testing import serving
from wardround.tools.fhir import sending
from wardround.tools.fhir.addresses import BaseAddress
from wardround.tools.fhir.answers import outcome_text, page_of
from wardround.tools.fhir.client import FhirClient, FhirRequestError

BASE = "http://sandbox/fhir/R4"
PATIENT = {"resourceType": "Patient", "id": "1"}


class Server:
    """A real ASGI application that gives the replies it is told to and keeps what it was asked."""

    def __init__(self, *replies: Response) -> None:
        self.replies = list(replies)
        self.asked: list[tuple[str, str]] = []
        self.headers: list[dict[str, str]] = []
        self.bodies: list[Any] = []
        methods = ["GET", "POST", "PUT", "PATCH", "DELETE"]
        self.app = Starlette(routes=[Route("/{path:path}", self._answer, methods=methods)])

    async def _answer(self, request: Request) -> Response:
        raw = request.scope["raw_path"].decode()
        query = request.url.query
        self.asked.append((request.method, raw.partition("?")[0] + (f"?{query}" if query else "")))
        self.headers.append(dict(request.headers))
        body = await request.body()
        self.bodies.append(json.loads(body) if body else None)
        return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]


@asynccontextmanager
async def client_of(server: Server, **options: Any) -> AsyncIterator[tuple[FhirClient, list[float]]]:
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    transport = httpx.ASGITransport(app=server.app)
    async with FhirClient(BASE, transport=transport, sleep=sleep, **options) as client:
        yield client, waited


def fhir(body: Any, status: int = 200, **headers: str) -> Response:
    return JSONResponse(body, status, {name.replace("_", "-"): value for name, value in headers.items()})


def outcome(*said: str, expression: str | None = None) -> dict[str, Any]:
    at = {"expression": [expression]} if expression else {}
    issues = [{"severity": "error", "code": "invalid", "diagnostics": text, **at} for text in said]
    return {"resourceType": "OperationOutcome", "issue": issues}


def bundle(*resources: dict[str, Any], total: int | None = None, following: str | None = None) -> dict[str, Any]:
    links = [{"relation": "next", "url": following}] if following else []
    entries = [{"resource": resource, "search": {"mode": "match"}} for resource in resources]
    counted = {"total": total} if total is not None else {}
    return {"resourceType": "Bundle", "type": "searchset", "link": links, "entry": entries, **counted}


def cut_short() -> Response:
    return Response('{"resourceType": "Pat', media_type="application/fhir+json")


async def test_a_resource_is_read_below_the_base_address() -> None:
    server = Server(fhir(PATIENT))
    async with client_of(server) as (client, _):
        assert await client.read("Patient/1") == PATIENT
    assert server.asked == [("GET", "/fhir/R4/Patient/1")]
    assert server.headers[0]["accept"] == "application/fhir+json"


async def test_an_error_says_method_address_status_and_the_outcome_in_one_line() -> None:
    body = outcome("unknown parameter 'cod'\n did you mean 'code'?", expression="Observation.code")
    async with client_of(Server(fhir(body, 400))) as (client, _):
        with pytest.raises(FhirRequestError) as failed:
            await client.search("Observation", {"cod": "x"})
    assert failed.value.status == 400
    assert failed.value.method == "GET"
    assert failed.value.url == f"{BASE}/Observation?cod=x"
    assert str(failed.value) == (
        f"tool fhir: GET {BASE}/Observation?cod=x answered 400: "
        "unknown parameter 'cod' did you mean 'code'? (at Observation.code)"
    )
    assert isinstance(failed.value, ToolError)


async def test_an_error_crosses_a_process_boundary() -> None:
    error = FhirRequestError("POST", BASE, 500, "broken", may_be_done=True)
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.status, again.may_be_done) == (str(error), 500, True)


def test_repeated_messages_of_an_outcome_are_told_once() -> None:
    assert outcome_text(outcome(*["same"] * 50, "other")) == "same; other"


def test_a_long_outcome_is_cut_and_says_so() -> None:
    text = outcome_text(outcome(*(f"fault {n}" for n in range(100))))
    assert text.endswith("(+92 more)")
    assert len(text) < 400


async def test_an_error_page_of_a_gateway_is_told_in_words() -> None:
    page = PlainTextResponse("<html>bad\n gateway</html>", 404)
    async with client_of(Server(page)) as (client, _):
        with pytest.raises(FhirRequestError, match="answered 404: <html>bad gateway</html>"):
            await client.read("Patient/1")


@pytest.mark.parametrize("status", [429, 502, 503, 504])
async def test_a_read_is_tried_again_while_the_server_is_busy(status: int) -> None:
    server = Server(fhir(outcome("busy"), status), fhir(outcome("busy"), status), fhir(PATIENT))
    async with client_of(server) as (client, waited):
        assert await client.read("Patient/1") == PATIENT
    assert len(server.asked) == 3
    assert len(waited) == 2
    assert all(0 <= seconds <= 10 for seconds in waited)


async def test_after_the_last_attempt_the_answer_stands_as_it_is() -> None:
    server = Server(fhir(outcome("busy"), 503))
    async with client_of(server, attempts=3) as (client, waited):
        response = await client.request("GET", "Patient/1")
    assert (response.status, response.text, len(server.asked), len(waited)) == (503, "busy", 3, 2)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry_After": "7"}, 7.0),
        ({"Retry_After": "Mon, 13 Nov 2023 10:15:09 GMT", "Date": "Mon, 13 Nov 2023 10:15:00 GMT"}, 9.0),
        ({"Retry_After": "Mon, 13 Nov 2023 10:00:00 GMT", "Date": "Mon, 13 Nov 2023 10:15:00 GMT"}, 0.0),
    ],
)
async def test_the_server_says_how_long_it_wants_to_be_left_alone(headers: dict[str, str], seconds: float) -> None:
    server = Server(fhir(outcome("slow down"), 429, **headers), fhir(PATIENT))
    async with client_of(server) as (client, waited):
        await client.read("Patient/1")
    assert waited == [seconds]


async def test_a_server_that_wants_to_be_left_alone_for_long_is_not_asked_again() -> None:
    server = Server(fhir(outcome("maintenance"), 503, Retry_After="3600"))
    async with client_of(server) as (client, waited):
        with pytest.raises(FhirRequestError, match="503: maintenance"):
            await client.read("Patient/1")
    assert (len(server.asked), waited) == (1, [])


@pytest.mark.parametrize("status", [429, 503])
async def test_a_create_that_the_server_has_put_off_is_tried_again(status: int) -> None:
    server = Server(fhir(outcome("later"), status), fhir({**PATIENT, "id": "new"}, 201))
    async with client_of(server) as (client, _):
        assert (await client.create({"resourceType": "Patient"}))["id"] == "new"
    assert [method for method, _ in server.asked] == ["POST", "POST"]


@pytest.mark.parametrize("status", [500, 502, 504])
async def test_a_create_that_may_have_worked_is_never_repeated(status: int) -> None:
    server = Server(fhir(outcome("lost"), status))
    async with client_of(server) as (client, _):
        with pytest.raises(FhirRequestError, match="look before you repeat it") as failed:
            await client.create({"resourceType": "Patient"})
    assert failed.value.may_be_done
    assert len(server.asked) == 1


async def test_an_update_is_repeated_but_not_under_a_condition() -> None:
    lost = fhir(outcome("lost"), 502)
    server = Server(lost, fhir(PATIENT))
    async with client_of(server) as (client, _):
        assert await client.update(PATIENT) == PATIENT
    assert len(server.asked) == 2
    server = Server(lost)
    async with client_of(server) as (client, _):
        with pytest.raises(FhirRequestError):
            await client.update(PATIENT, if_match="3")
    assert len(server.asked) == 1
    assert server.headers[0]["if-match"] == 'W/"3"'


async def test_a_read_cut_short_is_tried_again_and_then_an_error() -> None:
    server = Server(cut_short(), fhir(PATIENT))
    async with client_of(server) as (client, _):
        assert await client.read("Patient/1") == PATIENT
    server = Server(cut_short())
    async with client_of(server, attempts=2) as (client, _):
        with pytest.raises(FhirRequestError, match="broken or no JSON") as failed:
            await client.read("Patient/1")
    assert len(server.asked) == 2
    assert not failed.value.may_be_done


async def test_a_create_whose_answer_is_cut_short_may_have_been_done() -> None:
    server = Server(cut_short())
    async with client_of(server) as (client, _):
        with pytest.raises(FhirRequestError, match="may have been done") as failed:
            await client.create({"resourceType": "Patient"})
    assert failed.value.may_be_done
    assert len(server.asked) == 1


async def test_numbers_that_json_does_not_have_are_a_broken_answer() -> None:
    async with client_of(Server(Response('{"a": NaN}')), attempts=1) as (client, _):
        with pytest.raises(FhirRequestError, match="NaN is no JSON number"):
            await client.read("Patient/1")


async def test_endless_nesting_is_a_broken_answer() -> None:
    async with client_of(Server(Response("[" * 100_000)), attempts=1) as (client, _):
        with pytest.raises(FhirRequestError, match="broken or no JSON"):
            await client.read("Patient/1")


async def test_an_answer_without_end_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "MAX_BYTES", 1_000)
    server = Server(fhir({**PATIENT, "language": "x" * 2_000}))
    async with client_of(server) as (client, _):
        with pytest.raises(FhirRequestError, match="narrow the search"):
            await client.read("Patient/1")
    assert len(server.asked) == 1


async def test_a_redirect_is_not_followed() -> None:
    server = Server(RedirectResponse("http://elsewhere/fhir"))
    async with client_of(server, token="secret") as (client, _):
        with pytest.raises(FhirRequestError, match="http://elsewhere/fhir, which is not followed"):
            await client.read("Patient/1")
    assert len(server.asked) == 1


async def test_the_token_goes_along_and_into_no_message() -> None:
    server = Server(fhir(outcome("no"), 403))
    async with client_of(server, token="s3cret") as (client, _):
        with pytest.raises(FhirRequestError) as failed:
            await client.read("Patient/1")
    assert server.headers[0]["authorization"] == "Bearer s3cret"
    assert "s3cret" not in str(failed.value) + repr(failed.value.__dict__) + repr(client)


async def test_pages_are_walked_by_the_servers_own_links() -> None:
    first = bundle({"resourceType": "Patient", "id": "a"}, total=3, following=f"{BASE}?_cursor=2")
    second = bundle({"resourceType": "Patient", "id": "b"}, following="R4?_cursor=3")
    server = Server(fhir(first), fhir(second), fhir(bundle({"resourceType": "Patient", "id": "c"})))
    async with client_of(server) as (client, _):
        page = await client.search("Patient", [("name", "x"), ("name", "y")])
        assert (page.total, page.next) == (3, f"{BASE}?_cursor=2")
        following = await client.next_page(page)
        assert following is not None
        last = await client.next_page(following)
        assert last is not None
        assert [r["id"] for r in last.resources] == ["c"]
        assert await client.next_page(last) is None
    assert server.asked == [
        ("GET", "/fhir/R4/Patient?name=x&name=y"),
        ("GET", "/fhir/R4?_cursor=2"),
        ("GET", "/fhir/R4?_cursor=3"),
    ]
    assert server.headers[0]["prefer"] == "handling=strict"


@pytest.mark.parametrize(
    "link", ["http://evil/fhir/R4?page=2", "https://sandbox/fhir/R4", "http://sandbox:81/x", "//evil/x"]
)
async def test_a_next_link_to_another_server_is_refused(link: str) -> None:
    server = Server(fhir(bundle(PATIENT, following=link)))
    async with client_of(server, token="secret") as (client, _):
        page = await client.search("Patient")
        with pytest.raises(ToolRefused, match="another server"):
            await client.next_page(page)
    assert len(server.asked) == 1


async def test_a_limit_ends_the_walk_and_says_that_there_is_more() -> None:
    resources = [{"resourceType": "Patient", "id": str(n)} for n in range(4)]
    pages = [bundle(*resources[:2], following=f"{BASE}?p=2"), bundle(*resources[2:])]
    for limit, asked, is_cut in ((1, 1, True), (2, 1, True), (3, 2, True), (4, 2, False), (9, 2, False)):
        server = Server(*(fhir(page) for page in pages))
        async with client_of(server) as (client, _):
            found, truncated = await client.search_all("Patient", limit=limit)
        assert (found, truncated, len(server.asked)) == (resources[:limit], is_cut, asked)


async def test_pages_that_go_in_a_circle_are_an_error() -> None:
    server = Server(fhir(bundle(PATIENT, following=f"{BASE}?p=1")))
    async with client_of(server) as (client, _):
        with pytest.raises(FhirRequestError, match="do not end"):
            await client.search_all("Patient", limit=100)
    assert len(server.asked) == 2


async def test_a_search_that_answers_no_bundle_is_an_error() -> None:
    async with client_of(Server(fhir(PATIENT))) as (client, _):
        with pytest.raises(FhirRequestError, match="Patient where a Bundle is due"):
            await client.search("Patient")


def test_a_page_tells_matches_from_what_came_along() -> None:
    entries = [
        {"resource": {"resourceType": "Observation", "id": "m"}, "search": {"mode": "match"}},
        {"resource": {"resourceType": "Patient", "id": "i"}, "search": {"mode": "include"}},
        {"resource": outcome("parameter x was not applied"), "search": {"mode": "outcome"}},
        {"resource": {"resourceType": "Observation", "id": "bare"}},
        {"fullUrl": "nothing"},
    ]
    page = page_of({"resourceType": "Bundle", "entry": entries, "total": "many"}, BASE)
    assert [r["id"] for r in page.resources] == ["m", "bare"]
    assert [r["id"] for r in page.included] == ["i"]
    assert page.warnings == ("parameter x was not applied",)
    assert page.total is None


@pytest.mark.parametrize(
    "path",
    [
        "../x",
        "Patient/../../x",
        "Patient/%2e%2e/x",
        "a%2fb",
        "a\\..\\b",
        "http://evil/x",
        "http://sandbox/other",
        "x/./y",
    ],
)
async def test_a_path_out_of_the_base_is_refused_before_anything_is_sent(path: str) -> None:
    server = Server(fhir(PATIENT))
    async with client_of(server) as (client, _):
        with pytest.raises(ToolRefused):
            await client.request("GET", path)
    assert server.asked == []


async def test_a_plus_before_a_zone_is_no_space_for_the_server() -> None:
    server = Server(fhir(bundle()))
    async with client_of(server) as (client, _):
        await client.request("GET", "Observation?date=ge2023-11-12T10:15:00+00:00&code=a+b")
        await client.search("Observation", {"date": "ge2023-11-12T10:15:00+00:00"})
    by_hand, by_name = (dict(parse_qsl(urlsplit(url).query)) for _, url in server.asked)
    assert by_hand == {"date": "ge2023-11-12T10:15:00+00:00", "code": "a b"}
    assert by_name == {"date": "ge2023-11-12T10:15:00+00:00"}


@given(st.text(max_size=40))
def test_no_path_leads_away_from_the_base(path: str) -> None:
    base = BaseAddress.of(BASE)
    try:
        url = httpx.URL(base.join(path))
    except (ToolRefused, httpx.InvalidURL):
        return
    assert (url.scheme, url.host, url.port) == ("http", "sandbox", None)
    assert url.path == "/fhir/R4" or url.path.startswith("/fhir/R4/")


@given(st.lists(st.tuples(st.text(min_size=1, max_size=8), st.text(min_size=1, max_size=20)), max_size=4))
def test_parameters_arrive_as_they_were_given(params: list[tuple[str, str]]) -> None:
    url = BaseAddress.of(BASE).join("Observation", params)
    assert parse_qsl(urlsplit(url).query, keep_blank_values=True) == params


def test_half_a_character_becomes_a_question_mark() -> None:
    url = BaseAddress.of(BASE).join("Observation?code=a\ud800", {"text": "\udfff"})
    assert parse_qsl(urlsplit(url).query) == [("code", "a?"), ("text", "?")]


@pytest.mark.parametrize("url", ["", "sandbox/fhir", "ftp://sandbox/fhir", "http://", "http://sandbox/fhir?x=1"])
def test_what_is_no_base_address_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="give one such as"):
        FhirClient(url)


async def test_a_create_without_a_body_is_read_where_the_server_put_it() -> None:
    server = Server(Response(status_code=201, headers={"Location": f"{BASE}/Patient/9/_history/1"}), fhir(PATIENT))
    async with client_of(server) as (client, _):
        assert await client.create({"resourceType": "Patient"}, if_none_exist="identifier=x") == PATIENT
    assert server.asked == [("POST", "/fhir/R4/Patient"), ("GET", "/fhir/R4/Patient/9")]
    assert server.headers[0]["if-none-exist"] == "identifier=x"
    assert server.headers[0]["content-type"] == "application/fhir+json"


async def test_a_create_that_tells_nothing_is_an_error() -> None:
    async with client_of(Server(Response(status_code=201))) as (client, _):
        with pytest.raises(FhirRequestError, match="does not say what it has written"):
            await client.create({"resourceType": "Patient"})


async def test_writes_have_their_methods_bodies_and_headers() -> None:
    server = Server(fhir(PATIENT))
    operations = [{"op": "replace", "path": "/gender", "value": "female"}]
    async with client_of(server) as (client, _):
        await client.update(PATIENT, if_match='W/"2"')
        await client.patch("Patient/1", operations, if_match="2")
        await client.delete("Patient/1")
        await client.transaction({"resourceType": "Bundle", "type": "batch"})
        await client.capabilities()
    assert server.asked == [
        ("PUT", "/fhir/R4/Patient/1"),
        ("PATCH", "/fhir/R4/Patient/1"),
        ("DELETE", "/fhir/R4/Patient/1"),
        ("POST", "/fhir/R4"),
        ("GET", "/fhir/R4/metadata"),
    ]
    assert server.bodies[:2] == [PATIENT, operations]
    assert [h.get("if-match") for h in server.headers[:2]] == ['W/"2"', 'W/"2"']
    assert server.headers[1]["content-type"] == "application/json-patch+json"


@pytest.mark.parametrize("resource", [{}, {"resourceType": "Patient"}])
async def test_an_update_needs_a_type_and_an_id(resource: dict[str, Any]) -> None:
    async with client_of(Server(fhir(PATIENT))) as (client, _):
        with pytest.raises(UsageError):
            await client.update(resource)


async def test_everything_of_a_patient_is_one_bundle_over_all_pages() -> None:
    first = bundle(PATIENT, following="?_cursor=2")
    server = Server(fhir(first), fhir(bundle({"resourceType": "Observation", "id": "o"})))
    async with client_of(server) as (client, _):
        everything = await client.everything("Patient/1")
    assert [e["resource"]["id"] for e in everything["entry"]] == ["1", "o"]
    assert server.asked[0] == ("GET", "/fhir/R4/Patient/1/$everything")


@contextmanager
def served(server: Server) -> Iterator[str]:
    """The application behind a real socket."""
    with serving.served(server.app) as address:
        yield f"{address}/fhir/R4"


async def test_the_same_client_talks_over_a_real_socket() -> None:
    server = Server(fhir(PATIENT), fhir(outcome("busy"), 503, Retry_After="0"), fhir({**PATIENT, "id": "2"}, 201))
    with served(server) as base:
        async with FhirClient(base, token="t") as client:
            assert await client.read("Patient/1") == PATIENT
            assert (await client.create({"resourceType": "Patient"}))["id"] == "2"
    assert [method for method, _ in server.asked] == ["GET", "POST", "POST"]
    assert server.headers[0]["authorization"] == "Bearer t"


Handle = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def listening(handle: Handle) -> AsyncIterator[str]:
    """A raw server; it is over when everybody has hung up."""
    under_way: list[asyncio.Task[Any]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        under_way.append(task)
        await handle(reader, writer)
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/fhir"
        await asyncio.gather(*under_way)


class Dropping:
    """Reads a request and then breaks off, after part of an answer or none at all."""

    def __init__(self, says: bytes) -> None:
        self.says, self.requests = says, 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.requests += 1
        writer.write(self.says)
        await writer.drain()


@asynccontextmanager
async def dropping(says: bytes) -> AsyncIterator[tuple[Dropping, FhirClient]]:
    server = Dropping(says)

    async def at_once(_: float) -> None:
        return None

    async with listening(server) as base, FhirClient(base, attempts=3, sleep=at_once) as client:
        yield server, client


PARTLY = b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\nContent-Type: application/json\r\n\r\n{"resourceType"'


@pytest.mark.parametrize("says", [b"", PARTLY])
async def test_a_connection_that_breaks_off_is_tried_again_for_reads_only(says: bytes) -> None:
    async with dropping(says) as (server, client):
        with pytest.raises(FhirRequestError, match="cut off") as failed:
            await client.read("Patient/1")
        assert (server.requests, failed.value.may_be_done) == (3, False)
    async with dropping(says) as (server, client):
        with pytest.raises(FhirRequestError, match="look before you repeat it") as failed:
            await client.create({"resourceType": "Patient"})
        assert (server.requests, failed.value.status) == (1, None)


async def test_a_server_that_is_not_there_is_tried_again_even_for_a_create() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    async with FhirClient(f"http://127.0.0.1:{port}/fhir", attempts=3, sleep=sleep) as client:
        with pytest.raises(FhirRequestError, match="is the server running") as failed:
            await client.create({"resourceType": "Patient"})
    assert (len(waited), failed.value.may_be_done, failed.value.status) == (2, False, None)


async def test_silence_ends_at_the_time_out() -> None:
    async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    async with listening(silent) as base, FhirClient(base, timeout=0.05, attempts=1) as client:
        with pytest.raises(FhirRequestError, match=r"no answer within 0\.05 s"):
            await client.read("Patient/1")
