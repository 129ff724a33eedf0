"""A file of people: its encoding, its delimiter and its headings are found, and its rows are read one by one."""

import codecs
import csv
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from broker import limits
from broker.directory.attributes import ACTIVE, VOCABULARY, check_claims
from broker.errors import BrokerError

DELIMITERS = ",;\t|"
_BYTE_ORDER_MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
_FALLBACK = "cp1252"
"""What is no UTF-8 comes from Windows in western Europe more often than from anywhere else; the plan says so."""
_OTHER_HEADINGS = {
    "account_status": ACTIVE,
    "status": ACTIVE,
    "enabled": ACTIVE,
    "e_mail": "email",
    "mail": "email",
    "email_address": "email",
    "work_email": "email",
    "first_name": "given_name",
    "firstname": "given_name",
    "last_name": "family_name",
    "lastname": "family_name",
    "surname": "family_name",
    "display_name": "name",
    "full_name": "name",
    "employee_id": "employee_number",
    "employeeid": "employee_number",
    "personnel_number": "employee_number",
    "job_title": "title",
    "phone": "phone_number",
    "telephone": "phone_number",
    "username": "user_name",
    "login": "user_name",
    "cost_centre": "cost_center",
    "company": "organization",
    "language": "preferred_language",
}
_YES = frozenset({"true", "yes", "y", "1", "active", "enabled"})
_NO = frozenset({"false", "no", "n", "0", "inactive", "disabled", "terminated"})


@dataclass(frozen=True, slots=True)
class Row:
    """One row that can be applied: its number from 1, its key, what it says, and the cells that say it."""

    number: int
    key: str
    values: Mapping[str, tuple[str, ...]]
    cells: tuple[str, ...]

    @property
    def digest(self) -> str:
        """SHA-256 in hex of what it says."""
        return hashlib.sha256(json.dumps(self.values, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Reject:
    """One row that cannot be applied, and why: a stable code and a sentence."""

    number: int
    code: str
    reason: str
    cells: tuple[str, ...]
    key: str = ""
    """Whom it is about, where that much can be read: they are named, and not missing."""


@dataclass(frozen=True, slots=True)
class PeopleFile:
    """What was found out of a file, before any row of it is believed."""

    path: Path
    digest: str
    encoding: str
    is_guessed: bool
    """Whether the encoding is our best guess."""
    delimiter: str
    headings: tuple[str, ...]
    attributes: tuple[str, ...]
    """For each heading its attribute, "" where none is known."""
    key: str
    rows: int

    @property
    def unread(self) -> list[str]:
        """Headings that no attribute is known for."""
        return [heading for heading, name in zip(self.headings, self.attributes, strict=True) if not name]

    def read(self, *, after: int = 0) -> Iterator[Row | Reject]:
        """The rows behind the first `after`, in the file's order. A key that came before is a reject."""
        seen: dict[str, int] = {}
        for number, cells in enumerate(_cells(self.path, self.encoding, self.delimiter), start=1):
            row = self._read_row(number, cells)
            if isinstance(row, Row):
                earlier = seen.setdefault(row.key, number)
                if earlier != number:
                    reason = f"the key {row.key} stands in row {earlier} already"
                    row = Reject(number, "import.duplicate_key", reason, tuple(cells), row.key)
            if number > after:
                yield row

    def _read_row(self, number: int, cells: list[str]) -> Row | Reject:
        try:
            return self._row(number, cells)
        except BrokerError as error:
            reason = f"{error.detail}: expected {error.expected}" if error.expected else error.detail
            place = self.attributes.index(self.key)
            key = cells[place].strip() if len(cells) == len(self.headings) else ""
            return Reject(number, error.code, reason or error.refusal.meaning, tuple(cells), key)

    def _row(self, number: int, cells: list[str]) -> Row:
        if len(cells) != len(self.headings):
            raise BrokerError(
                "import.row", detail=f"{len(cells)} cells", expected=f"{len(self.headings)}, as in the heading"
            )
        values = {name: _values(name, cell.strip()) for name, cell in zip(self.attributes, cells, strict=True) if name}
        check_claims(values)
        key = values[self.key]
        if not key or len(key[0]) > limits.IMPORT_KEY_CHARS:
            raise BrokerError(
                "import.row", detail=self.key, expected=f"a key of 1 to {limits.IMPORT_KEY_CHARS} characters"
            )
        return Row(number, key[0], values, tuple(cells))


def open_file(
    path: Path, *, key: str, columns: Mapping[str, str], encoding: str | None = None, delimiter: str | None = None
) -> PeopleFile:
    """Find out how the file is written. Reads all of it once, and believes nothing of it yet.

    Raises BrokerError: import.file (unreadable, empty, too large, in no encoding that we know, or cut in a quotation),
    import.headings (twice the same attribute, or no column for the key).
    """
    digest, is_utf8, start = _look_through(path)
    found = encoding or next((name for mark, name in _BYTE_ORDER_MARKS if start.startswith(mark)), None)
    is_guessed = found is None and not is_utf8
    found = found or ("utf-8" if is_utf8 else _FALLBACK)
    delimiter = delimiter or _find_delimiter(path, found)
    headings, rows = _count(path, found, delimiter)
    attributes = tuple(_attribute_of(heading, columns) for heading in headings)
    twice = sorted({name for name in attributes if name and attributes.count(name) > 1})
    if twice:
        raise BrokerError("import.headings", detail=f"{', '.join(twice)} has several columns", expected="one each")
    if key not in attributes:
        raise BrokerError(
            "import.headings", detail=f"no column is {key}", expected=f"one, by which people are found; {headings}"
        )
    return PeopleFile(path, digest, found, is_guessed, delimiter, headings, attributes, key, rows)


def _look_through(path: Path) -> tuple[str, bool, bytes]:
    """The file's digest, whether all of it is UTF-8, and how it begins."""
    digest, decoder, is_utf8, start = hashlib.sha256(), codecs.getincrementaldecoder("utf-8")(), True, b""
    try:
        if path.stat().st_size > limits.IMPORT_FILE_BYTES:
            raise BrokerError("import.file", detail="too large", expected=f"at most {limits.IMPORT_FILE_BYTES} bytes")
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                start = start or block[:4]
                digest.update(block)
                try:
                    decoder.decode(block)
                except UnicodeDecodeError:
                    is_utf8 = False
                    decoder.reset()
    except OSError as error:
        raise BrokerError("import.file", detail=f"cannot be read: {error.strerror}") from error
    if not start:
        raise BrokerError("import.file", detail="the file is empty", expected="a line of headings and rows")
    try:
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        is_utf8 = False
    return digest.hexdigest(), is_utf8, start


def _find_delimiter(path: Path, encoding: str) -> str:
    with _text(path, encoding) as file:
        try:
            heading = file.readline()
        except (UnicodeError, LookupError) as error:
            raise BrokerError("import.file", detail=f"is not in {encoding}") from error
    counts = {delimiter: _outside_quotes(heading, delimiter) for delimiter in DELIMITERS}
    best = max(counts, key=lambda delimiter: counts[delimiter])
    return best if counts[best] else ","


def _outside_quotes(line: str, delimiter: str) -> int:
    return re.sub(r'"[^"]*"', "", line).count(delimiter)


def _count(path: Path, encoding: str, delimiter: str) -> tuple[tuple[str, ...], int]:
    """The headings, and how many rows follow."""
    with _text(path, encoding) as file:
        reader = csv.reader(file, delimiter=delimiter, strict=True)
        try:
            headings = tuple(heading.strip() for heading in next(reader, ()))
            rows = sum(1 for cells in reader if cells)
        except (csv.Error, UnicodeError, LookupError) as error:
            detail = f"line {reader.line_num}: {error}"
            raise BrokerError("import.file", detail=detail, expected="a whole file, in one encoding") from error
    if not any(headings):
        raise BrokerError("import.file", detail="the first line is empty", expected="a line of headings")
    return headings, rows


def _cells(path: Path, encoding: str, delimiter: str) -> Iterator[list[str]]:
    with _text(path, encoding) as file:
        reader = csv.reader(file, delimiter=delimiter, strict=True)
        next(reader, None)
        yield from (cells for cells in reader if cells)


def _text(path: Path, encoding: str) -> TextIO:
    try:
        return path.open(encoding=encoding, newline="")
    except LookupError as error:
        raise BrokerError("import.file", detail=f"{encoding!r} is no encoding") from error


def _attribute_of(heading: str, columns: Mapping[str, str]) -> str:
    if heading in columns:
        return columns[heading]
    name = re.sub(r"[^a-z0-9]+", "_", heading.casefold()).strip("_")
    return name if name in VOCABULARY else _OTHER_HEADINGS.get(name, "")


def _values(name: str, cell: str) -> tuple[str, ...]:
    if name != ACTIVE:
        return (cell,) if cell else ()
    word = cell.casefold()
    if word in _YES or word in _NO:
        return ("true",) if word in _YES else ("false",)
    raise BrokerError("import.row", detail=ACTIVE, expected="true or false, yes or no, active or inactive, 1 or 0")
