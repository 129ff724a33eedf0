"""What an application can do wrong: traits, which it keeps until told otherwise, and faults of single requests."""

import re
from dataclasses import asdict, dataclass, field, fields
from typing import Any

FAULTS = ("answer", "hang", "trickle", "cut", "html", "redirect", "bulk_dies")


@dataclass(slots=True)
class Traits:
    """How this application is. Lists name people by externalId or userName; True means everybody."""

    no_patch: bool = False
    no_bulk: bool = False
    no_filter_by_external_id: bool = False
    cursor_only: bool = False
    """RFC 9865 is the only way through a list; startIndex is refused."""
    if_match_required: bool = False
    """428 without If-Match, on what changes a resource."""
    doubles: bool = False
    """Two accounts may have one userName. For the start only: what is there is not looked through again."""
    lie_on_disable: bool | list[str] = False
    """Answers 200 and `active: false`, and leaves the account as it is."""
    lie_on_delete: bool | list[str] = False
    """Answers 204, and the account stays."""
    enable_again_after: float = 0.0
    """Seconds after a disable until the application enables the account by itself. 0: never."""
    max_results: int = 1000
    max_operations: int = 1000
    latency_ms: float = 0.0
    """Half of it passes before the effect, half between effect and answer."""
    rate: float = 0.0
    """Requests a second; what is above is answered 429 with `Retry-After: 1`. 0: any number."""

    def lies(self, trait: str, document: dict[str, Any]) -> bool:
        named = getattr(self, trait)
        if isinstance(named, bool):
            return named
        return document.get("externalId") in named or document.get("userName") in named

    def change(self, **values: Any) -> None:
        for name, value in values.items():
            if name not in NAMES_OF_TRAITS:
                raise ValueError(f"no such trait: {name}")
            setattr(self, name, value)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


NAMES_OF_TRAITS = tuple(trait.name for trait in fields(Traits))


@dataclass(slots=True)
class Fault:
    """What happens to the next `times` requests (None: to all) that fit `method` and `path` (a regular expression).

    answer: `status` with `headers` and `body`, and no effect. hang: no answer for `seconds`. trickle: the true answer,
    `rate` bytes a second. cut: half of the answer's body, then the connection ends. html: a sign-on page with status
    `status`. redirect: to `location`. bulk_dies: the first `after` operations take effect, then the connection ends,
    and with `process` so does the application. hang, trickle and cut take effect unless `effect` is false.
    """

    fault: str
    method: str = ""
    path: str = ""
    times: int | None = None
    skip: int = 0
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""
    seconds: float = 3600.0
    rate: float = 1.0
    location: str = "http://127.0.0.1:1/"
    after: int = 0
    process: bool = False
    effect: bool = True
    hits: int = 0

    def __post_init__(self) -> None:
        if self.fault not in FAULTS:
            raise ValueError(f"no such fault: {self.fault}")

    def fits(self, method: str, url: str) -> bool:
        """Whether it hits this request; counts down."""
        if self.times == 0 or (self.method and self.method != method) or not re.search(self.path, url):
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        if self.times is not None:
            self.times -= 1
        self.hits += 1
        return True
