"""YAML text into values that know their line. Safe: no tags beyond YAML's own, no duplicate keys, all bounded."""

from datetime import date
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from broker import limits
from broker.registry.config.table import Problem, Scalar, Value

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TAG = "tag:yaml.org,2002:"
_SCALARS = {f"{_TAG}{name}" for name in ("str", "int", "float", "bool", "null", "timestamp")}


class BadDocument(Exception):
    """The text is not YAML that we read; `problem` says where."""

    def __init__(self, line: int, path: str, text: str) -> None:
        self.problem = Problem(line, path, text)
        super().__init__(text)


def parse(raw: bytes) -> Value:
    """The one document in `raw`. Raises BadDocument."""
    if len(raw) > limits.CONFIGURATION_BYTES:
        raise BadDocument(1, "", f"the file has more than {limits.CONFIGURATION_BYTES} bytes")
    try:
        text = raw.decode("utf-8-sig")
        _check_depth(text)
        node = _LOADER(text).get_single_node()
    except UnicodeDecodeError as error:
        raise BadDocument(raw[: error.start].count(b"\n") + 1, "", "the file is not UTF-8") from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise BadDocument(line, "", f"not YAML: {error.problem or error.context}") from error
    except yaml.YAMLError as error:
        raise BadDocument(1, "", f"not YAML: {error}") from error
    if node is None:
        raise BadDocument(1, "", "the file is empty")
    return _Walk().value(node, "", depth=0)


def _check_depth(text: str) -> None:
    """Events come one after the other, where nodes come by recursion: libyaml's composer overruns the stack."""
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > limits.CONFIGURATION_DEPTH:
            line = event.start_mark.line + 1 if event.start_mark else 1
            raise BadDocument(line, "", f"nested more than {limits.CONFIGURATION_DEPTH} deep")


class _Walk:
    """From nodes to values; counts what it makes, so that aliases cannot multiply without end."""

    def __init__(self) -> None:
        self.made = 0
        self.scalars = yaml.constructor.SafeConstructor()

    def value(self, node: Node, path: str, *, depth: int) -> Value:
        line = node.start_mark.line + 1
        self.made += 1
        if self.made > limits.CONFIGURATION_NODES:
            raise BadDocument(line, path, f"the file holds more than {limits.CONFIGURATION_NODES} values")
        if depth > limits.CONFIGURATION_DEPTH:
            raise BadDocument(line, path, f"nested more than {limits.CONFIGURATION_DEPTH} deep")
        if isinstance(node, MappingNode) and node.tag == f"{_TAG}map":
            return Value(line, self.mapping(node, path, depth=depth))
        if isinstance(node, SequenceNode) and node.tag == f"{_TAG}seq":
            items = enumerate(node.value)
            return Value(line, [self.value(item, f"{path}[{number}]", depth=depth + 1) for number, item in items])
        if isinstance(node, ScalarNode) and node.tag in _SCALARS:
            return Value(line, self.scalar(node, path))
        raise BadDocument(line, path, f"the tag {node.tag} is not read here")

    def mapping(self, node: MappingNode, path: str, *, depth: int) -> dict[str, Value]:
        found: dict[str, Value] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, ScalarNode) or key_node.tag != f"{_TAG}str":
                shown = key_node.value if isinstance(key_node, ScalarNode) else "a list or mapping"
                raise BadDocument(line, path, f"a key must be a text, not {shown}; put it into quotes")
            key = str(key_node.value)
            here = f"{path}.{key}" if path else key
            if key in found:
                raise BadDocument(line, here, f"the key stands twice, first on line {found[key].line}")
            inner = self.value(value_node, here, depth=depth + 1)
            # The line of the key: where a reader looks, also when the value begins below it.
            found[key] = Value(line, inner.content)
        return found

    def scalar(self, node: ScalarNode, path: str) -> Scalar:
        try:
            content = self.scalars.construct_object(node)
        except (ValueError, OverflowError, yaml.YAMLError) as error:
            raise BadDocument(node.start_mark.line + 1, path, f"{node.value[:40]!r} is no valid value") from error
        if content is None or isinstance(content, str | bool | int | float | date):
            return content
        raise BadDocument(node.start_mark.line + 1, path, f"{node.value[:40]!r} is no valid value")
