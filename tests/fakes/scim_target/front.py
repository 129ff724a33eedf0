"""The application's HTTP: one loop, connections that stay open, and every fault of the menu.

Written by hand rather than on a server library, since half of the menu is what such a library exists to prevent.
"""

import asyncio
import base64
import email.utils
import json
import os
import re
import resource
import secrets
import time
from collections import deque
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any, Protocol
from urllib.parse import parse_qsl

from tests.fakes.scim_target.effects import EffectLog, read_effects, replay
from tests.fakes.scim_target.faults import NAMES_OF_TRAITS, Fault, Traits
from tests.fakes.scim_target.wire import Answer, Ask, Refused

ROOT = "/scim/v2"
CONTROL = ("/faults", "/acts", "/requests", "/counts", "/state", "/oauth/token")
REMEMBERED_REQUESTS = 100_000
CHANGING = ("POST", "PUT", "PATCH", "DELETE")
_EXTERNAL_ID = re.compile(rb'externalId"?\s*(?:eq|:)\s*"([^"]+)"')
_BY_EXTERNAL_ID = re.compile(r"\bexternalId\b", re.IGNORECASE)


class Engine(Protocol):
    """What the application is made of. It writes its own effects into the log."""

    def answer(self, ask: Ask, base_url: str) -> Answer: ...

    def adapt(self) -> None:
        """The traits changed."""

    def documents(self, kind: str) -> Iterable[dict[str, Any]]: ...

    def restore(self, state: dict[str, dict[str, dict[str, Any]]]) -> None: ...


class Front:
    """Everything of the application but its accounts: who may come in, what goes wrong, what was asked."""

    def __init__(self, engine: Engine, log: EffectLog, traits: Traits, *, token: str, client: str) -> None:
        self.engine = engine
        self.traits = traits
        self.base_url = ""
        self.requests: deque[dict[str, Any]] = deque(maxlen=REMEMBERED_REQUESTS)
        self.asked = 0
        self.in_flight = 0
        self.most_in_flight = 0
        self.faults: list[Fault] = []
        self._log = log
        self._start_traits = traits.as_json()
        self._token = token
        self._client = client
        self._given: dict[str, float] = {}
        self._allowance = 0.0
        self._refilled = time.monotonic()
        self._started = time.time()
        earlier = read_effects(log.path)
        log.count = len(earlier)
        engine.restore(replay(earlier))

    # -- What becomes of a request --------------------------------------

    def admit(self, ask: Ask, url: str) -> tuple[dict[str, Any], Fault | Answer | None]:
        """Note the request. What keeps it from its honest answer, if anything does."""
        self.asked += 1
        ask.number = self.asked
        entry = {
            "n": self.asked,
            "at": time.time(),
            "method": ask.method,
            "url": url,
            "who": [*_EXTERNAL_ID.findall(ask.body), *_EXTERNAL_ID.findall(ask.query.get("filter", "").encode())],
            "status": 0,
            "fault": "",
            "done": 0.0,
        }
        entry["who"] = [one.decode() for one in entry["who"]]
        self.requests.append(entry)
        for fault in self.faults:
            if fault.fits(ask.method, url):
                entry["fault"] = fault.fault
                return entry, fault
        return entry, self._refusal(ask)

    def _refusal(self, ask: Ask) -> Answer | None:
        traits = self.traits
        if traits.rate and not self._spend():
            return _error(429, "too many requests", {"Retry-After": "1"})
        if not self._is_known(ask.headers.get("authorization", "")) and ask.path != "/ServiceProviderConfig":
            return _error(401, "who are you?", {"WWW-Authenticate": 'Bearer realm="SCIM"'})
        if traits.no_filter_by_external_id and _BY_EXTERNAL_ID.search(ask.query.get("filter", "")):
            return _error(400, "externalId cannot be filtered by", kind="invalidFilter")
        if traits.no_bulk and ask.path == "/Bulk":
            return _error(501, "Bulk is not supported")
        if traits.if_match_required and ask.method in ("PUT", "PATCH", "DELETE") and "if-match" not in ask.headers:
            return _error(428, "If-Match is required")
        return None

    def do(self, ask: Ask, *, by: str = "client") -> Answer:
        """Let the engine do it."""
        self._log.request, self._log.by = ask.number, by
        watched = self.traits.enable_again_after and by == "client" and ask.method in CHANGING
        effects = self._log.count
        answer = self.engine.answer(ask, self.base_url)
        if watched and self._log.count > effects:
            self._enable_later(effects)
        return answer

    def _enable_later(self, after: int) -> None:
        for effect in read_effects(self._log.path)[after:]:
            if effect["type"] == "User" and effect["act"] == "change" and effect["document"].get("active") is False:
                asyncio.get_running_loop().call_later(
                    self.traits.enable_again_after, self._act, {"act": "enable", "id": effect["id"]}
                )

    def _spend(self) -> bool:
        now, rate = time.monotonic(), self.traits.rate
        self._allowance = min(max(rate, 1.0), self._allowance + (now - self._refilled) * rate)
        self._refilled = now
        if self._allowance < 1:
            return False
        self._allowance -= 1
        return True

    def _is_known(self, authorization: str) -> bool:
        if not self._token and not self._client:
            return True
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer":
            return False
        return (bool(self._token) and token == self._token) or self._given.get(token, 0) > time.time()

    # -- What the tests say and ask -------------------------------------

    def control(self, ask: Ask) -> Answer:
        try:
            if ask.path == "/oauth/token":
                return self._give_token(ask)
            told = json.loads(ask.body) if ask.body else None
            return _plain(getattr(self, f"_{ask.method.lower()}_{ask.path.strip('/')}")(ask, told))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            return _error(400, f"{type(error).__name__}: {error}")
        except Refused as refused:
            return refused.answer

    def _get_faults(self, _ask: Ask, _told: Any) -> Any:
        return {
            "traits": self.traits.as_json(),
            "faults": [{"fault": fault.fault, "times": fault.times, "hits": fault.hits} for fault in self.faults],
        }

    def _post_faults(self, ask: Ask, told: Any) -> Any:
        """An object or a list of them: a fault has `fault`, everything else is traits."""
        for one in told if isinstance(told, list) else [told]:
            if "fault" in one:
                self.faults.append(Fault(**one))
            else:
                self.traits.change(**one)
                self.engine.adapt()
        return self._get_faults(ask, None)

    def _delete_faults(self, ask: Ask, _told: Any) -> Any:
        """No faults, and the traits of the start."""
        self.faults.clear()
        self.traits.change(**{name: self._start_traits[name] for name in NAMES_OF_TRAITS})
        self.engine.adapt()
        return self._get_faults(ask, None)

    def _get_requests(self, ask: Ask, _told: Any) -> Any:
        since = int(ask.query.get("since", 0))
        return [entry for entry in self.requests if entry["n"] > since]

    def _get_counts(self, _ask: Ask, _told: Any) -> Any:
        used = resource.getrusage(resource.RUSAGE_SELF)
        return {
            "requests": self.asked,
            "effects": self._log.count,
            "in_flight": self.in_flight,
            "most_in_flight": self.most_in_flight,
            "cpu_seconds": used.ru_utime + used.ru_stime,
            "pid": os.getpid(),
        }

    def _get_state(self, _ask: Ask, _told: Any) -> Any:
        return {kind: list(self.engine.documents(kind)) for kind in ("User", "Group")}

    def _post_acts(self, _ask: Ask, told: Any) -> Any:
        return [self._act(one) for one in (told if isinstance(told, list) else [told])]

    def _act(self, told: dict[str, Any]) -> Any:
        """What the application's own people do: {act, type, id | external_id | user_name | name, document}."""
        act, kind = told["act"], told.get("type", "User")
        if act == "create":
            return self._ask_engine("POST", f"/{kind}s", told["document"])
        document = self._held(kind, told)
        where = f"/{kind}s/{document['id']}"
        if act == "delete":
            return self._ask_engine("DELETE", where, None)
        changes = {"enable": {"active": True}, "disable": {"active": False}}.get(act) or told["document"]
        return self._ask_engine("PUT", where, {**document, **changes})

    def _held(self, kind: str, told: dict[str, Any]) -> dict[str, Any]:
        names = {"id": "id", "external_id": "externalId", "user_name": "userName", "name": "displayName"}
        wanted = {names[name]: told[name] for name in names if name in told}
        for document in self.engine.documents(kind):
            if wanted and all(document.get(name) == value for name, value in wanted.items()):
                return document
        raise Refused(404, f"no {kind} of {wanted}")

    def _ask_engine(self, method: str, path: str, document: dict[str, Any] | None) -> Any:
        lies = self.traits.lie_on_disable, self.traits.lie_on_delete
        self.traits.lie_on_disable = self.traits.lie_on_delete = False  # to its own people it does not lie
        try:
            body = b"" if document is None else json.dumps(document).encode()
            answer = self.do(Ask(method, path, {}, {"content-type": "application/scim+json"}, body), by="target")
        finally:
            self.traits.lie_on_disable, self.traits.lie_on_delete = lies
        if answer.status >= 400:
            raise Refused(answer.status, answer.body.decode())
        return json.loads(answer.body) if answer.body else None

    def _give_token(self, ask: Ask) -> Answer:
        """Client credentials (RFC 6749 section 4.4), by Basic or in the form."""
        form = dict(parse_qsl(ask.body.decode()))
        told = f"{form.get('client_id', '')}:{form.get('client_secret', '')}"
        scheme, _, credentials = ask.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "basic":
            told = base64.b64decode(credentials).decode()
        if not self._client or told != self._client or form.get("grant_type") != "client_credentials":
            return Answer(401, b'{"error": "invalid_client"}', {"Content-Type": "application/json"})
        token, lifetime = secrets.token_urlsafe(24), 300
        self._given[token] = time.time() + lifetime
        return _plain({"access_token": token, "token_type": "Bearer", "expires_in": lifetime})


class Connection(asyncio.Protocol):
    """One connection; its requests are answered one after the other."""

    def __init__(self, front: Front) -> None:
        self._front = front
        self._held = b""
        self._busy = False
        self._tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]  # of a TCP server it is one

    def data_received(self, received: bytes) -> None:
        self._held += received
        self._go_on()

    def _go_on(self) -> None:
        while not self._busy and (request := self._next()) is not None:
            ask, url = request
            if not url.startswith(ROOT):
                if ask.path not in CONTROL:
                    self._send(_error(404, "nothing here"))
                else:
                    self._send(self._front.control(ask))
                continue
            entry, hindrance = self._front.admit(ask, url)
            if hindrance is None and not self._front.traits.latency_ms:
                self._send(self._front.do(ask), entry)
                continue
            # A request that began goes on when its client is gone, as in any other server.
            self._busy = True
            task = asyncio.get_running_loop().create_task(self._slowly(ask, entry, hindrance))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _next(self) -> tuple[Ask, str] | None:
        head, end, rest = self._held.partition(b"\r\n\r\n")
        if not end:
            return None
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {}
        for line in lines:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        length = int(headers.get("content-length", 0))
        if "transfer-encoding" in headers:
            self._held = b""
            self._send(_error(411, "a length, please"))
            return None
        if len(rest) < length:
            return None
        self._held = rest[length:]
        method, url, _ = first.split(" ")
        path, _, query = url.partition("?")
        below = path.removeprefix(ROOT) if path.startswith(ROOT) else path
        return Ask(method, below, dict(parse_qsl(query, keep_blank_values=True)), headers, rest[:length]), url

    async def _slowly(self, ask: Ask, entry: dict[str, Any], hindrance: Fault | Answer | None) -> None:
        front = self._front
        front.in_flight += 1
        front.most_in_flight = max(front.most_in_flight, front.in_flight)
        try:
            await asyncio.sleep(front.traits.latency_ms / 2000)
            if isinstance(hindrance, Fault):
                await self._go_wrong(ask, entry, hindrance)
                return
            answer = front.do(ask) if hindrance is None else hindrance
            await asyncio.sleep(front.traits.latency_ms / 2000)
            self._send(answer, entry)
        finally:
            front.in_flight -= 1
            self._busy = False
            if not self._transport.is_closing():
                self._go_on()

    async def _go_wrong(self, ask: Ask, entry: dict[str, Any], fault: Fault) -> None:
        if fault.fault == "answer":
            self._send(Answer(fault.status, fault.body.encode(), dict(fault.headers)), entry)
            return
        if fault.fault == "html":
            page = b"<!doctype html><html><title>Sign in</title><form>Please sign in.</form></html>"
            self._send(Answer(fault.status, page, {"Content-Type": "text/html; charset=utf-8"}), entry)
            return
        if fault.fault == "redirect":
            status = fault.status if fault.status >= 300 else 302
            self._send(Answer(status, b"", {"Location": fault.location}), entry)
            return
        if fault.fault == "bulk_dies":
            self._do_some(ask, fault.after)
            if fault.process:
                os._exit(9)
            self._transport.abort()
            return
        answer = self._front.do(ask) if fault.effect else _error(500, "this did not take effect")
        if fault.fault == "hang":
            await asyncio.sleep(fault.seconds)
            self._transport.abort()
        elif fault.fault == "trickle":
            for byte in _raw(answer):
                if self._transport.is_closing():
                    return
                self._transport.write(bytes([byte]))
                await asyncio.sleep(1 / fault.rate)
            entry["status"], entry["done"] = answer.status, time.time()
        elif fault.fault == "cut":
            raw = _raw(answer)
            self._transport.write(raw[: len(raw) - max(1, len(answer.body) // 2)])
            self._transport.close()

    def _do_some(self, ask: Ask, number: int) -> None:
        """The first operations of a bulk request, and nobody is told."""
        body = json.loads(ask.body)
        body["Operations"] = body["Operations"][:number]
        self._front.do(Ask(ask.method, ask.path, ask.query, ask.headers, json.dumps(body).encode(), ask.number))

    def _send(self, answer: Answer, entry: dict[str, Any] | None = None) -> None:
        if entry is not None:
            entry["status"], entry["done"] = answer.status, time.time()
        if not self._transport.is_closing():
            self._transport.write(_raw(answer))


def _raw(answer: Answer) -> bytes:
    try:
        phrase = HTTPStatus(answer.status).phrase
    except ValueError:
        phrase = "Unknown"
    lines = [f"HTTP/1.1 {answer.status} {phrase}", *(f"{name}: {value}" for name, value in answer.headers.items())]
    if answer.status not in (204, 304):
        lines.append(f"Content-Length: {len(answer.body)}")
    lines.append(f"Date: {email.utils.formatdate(usegmt=True)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + answer.body


def _plain(value: Any) -> Answer:
    return Answer(200, json.dumps(value).encode(), {"Content-Type": "application/json"})


def _error(status: int, detail: str, headers: dict[str, str] | None = None, kind: str = "") -> Answer:
    answer = Refused(status, detail, kind).answer
    answer.headers.update(headers or {})
    return answer
