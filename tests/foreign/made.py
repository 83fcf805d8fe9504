"""Requests that are made up from a definition: right ones, and ones with something wrong each."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus, urlsplit

import yaml

FOLDER = Path(__file__).with_name("definitions")
METHODS = ("get", "post", "put", "patch", "delete")
BOUNDARY = "XX"
# Texts that are odd for nearly every parameter.
ODD = ("", "x", "-1", "0", "1.5", "true", "1,2", "a b", "99999999999")
FORMATS = {
    "date": ("2026-11-28", ["2026-13-28", "28.11.2026"]),
    "date-time": ("2026-11-28T20:00:00Z", ["2026-11-28", "yesterday"]),
    "uuid": ("123e4567-e89b-12d3-a456-426614174000", ["123e4567"]),
    "byte": ("YQ==", ["*"]),
    "email": ("ada@example.com", ["ada"]),
    "uri": ("https://example.com/x", ["no uri"]),
}


@dataclass(frozen=True)
class Request:
    """A request: path and query encoded as they are sent, the body in Latin-1."""

    method: str
    template: str
    path: str
    query: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    body: str = ""

    @property
    def label(self) -> str:
        """The whole request in one line."""
        headers = " ".join(f"{name}: {value}" for name, value in self.headers)
        return f"{self.method} {self.path}?{self.query} [{headers}] {self.body}"


def read(name: str) -> dict[str, Any]:
    """Read one of the definitions in the folder."""
    document: dict[str, Any] = yaml.safe_load((FOLDER / f"{name}.yaml").read_text("utf-8"))
    # YAML has numbers and dates where JSON has names and texts.
    made: dict[str, Any] = json.loads(json.dumps(document, default=str))
    return made


def base_of(document: dict[str, Any]) -> str:
    """Return the path of the first server."""
    server = document.get("servers", [{"url": "/"}])[0]
    url = server["url"]
    for name, variable in server.get("variables", {}).items():
        url = url.replace("{" + name + "}", variable["default"])
    return str(urlsplit(url).path.rstrip("/"))


class Maker:
    """Make requests from one definition."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document

    def requests(self) -> Iterator[Request]:
        """Make up the requests to all operations."""
        for path, item in self.document["paths"].items():
            for method in METHODS:
                if method in item:
                    yield from dict.fromkeys(self._of(path, method, item, item[method]))

    def follow(self, node: Any) -> Any:
        """Return an object, or what it refers to."""
        while isinstance(node, dict) and "$ref" in node:
            found: Any = self.document
            for step in node["$ref"].removeprefix("#/").split("/"):
                found = found[step]
            node = found
        return node

    def _of(self, path: str, method: str, item: Any, operation: Any) -> Iterator[Request]:
        given = [*item.get("parameters", []), *operation.get("parameters", [])]
        parameters = [self.follow(each) for each in given]
        texts = {self._key(each): self._right(each) for each in parameters if each.get("required")}
        bodies = [*self._bodies(operation)] if method != "get" else []
        right = next((each for each in bodies if each), None)

        def made(texts: dict[Any, Any], body: Any = right, query: str = "") -> Request:
            return self._request(path, method, parameters, texts, body, query)

        yield made(texts)
        for each in parameters:
            key = self._key(each)
            if not each.get("required"):
                yield made({**texts, key: self._right(each)})
            elif each["in"] != "path":
                yield made({name: text for name, text in texts.items() if name != key})
            for text in [*self._others(each), *ODD]:
                if text or each["in"] != "path":
                    yield made({**texts, key: text})
        every = {self._key(each): self._right(each) for each in parameters}
        yield made(every)
        yield made(texts, query="unknown=1")
        for each in parameters:
            if each["in"] == "query":
                name = quote(each["name"])
                yield made(texts, query=f"{name}=1&{name}=2")
        for body in bodies:
            yield made(texts, body)

    def _request(
        self, path: str, method: str, parameters: Any, texts: Any, body: Any, query: str
    ) -> Request:
        pieces, headers, cookies = [], [], []
        target = base_of(self.document) + path
        for each in parameters:
            text = texts.get(self._key(each))
            if text is None:
                continue
            if each["in"] == "query":
                pieces.append(self._in_query(each, text))
            elif each["in"] == "header":
                headers.append((each["name"], plain(each, text, "simple")))
            elif each["in"] == "cookie":
                cookies.append(f"{each['name']}={plain(each, text, 'form')}")
            else:
                target = target.replace("{" + each["name"] + "}", self._in_path(each, text))
        if cookies:
            headers.append(("Cookie", "; ".join(cookies)))
        content = ""
        if body:
            headers.append(("Content-Type", body[0]))
            content = body[1]
        whole = "&".join(piece for piece in [*pieces, query] if piece)
        return Request(method.upper(), path, target, whole, tuple(headers), content)

    # Parameters: a value is a text that is sent as it is, or what the style has to write.

    @staticmethod
    def _key(parameter: Any) -> tuple[str, str]:
        return parameter["in"], parameter["name"]

    def _right(self, parameter: Any) -> Any:
        if "content" in parameter:
            [content] = parameter["content"].values()
            return json.dumps(self.good(content["schema"]))
        return self.good(parameter["schema"])

    def _others(self, parameter: Any) -> Iterator[Any]:
        if "content" in parameter:
            [content] = parameter["content"].values()
            yield from (json.dumps(each) for each in self.bad(content["schema"]))
            yield "{"
            return
        values = [*self.goods(parameter["schema"]), *self.bad(parameter["schema"])]
        yield from (each for each in values if each is not None and is_flat(each))

    def _in_query(self, parameter: Any, value: Any) -> str:
        style = parameter.get("style", "form")
        explode = parameter.get("explode", style == "form")
        name = parameter["name"]
        if isinstance(value, dict) and style == "deepObject":
            return "&".join(f"{name}[{key}]={encoded(each)}" for key, each in value.items())
        if isinstance(value, dict) and explode:
            return "&".join(f"{key}={encoded(each)}" for key, each in value.items())
        if isinstance(value, list) and explode:
            return "&".join(f"{name}={encoded(each)}" for each in value)
        delimiter = {"spaceDelimited": "%20", "pipeDelimited": "|"}.get(style, ",")
        if isinstance(value, (list, dict)):
            return f"{name}=" + delimiter.join(map(encoded, flattened(value)))
        return f"{name}={encoded(value)}"

    def _in_path(self, parameter: Any, value: Any) -> str:
        style, explode = parameter.get("style", "simple"), parameter.get("explode", False)
        name = parameter["name"]
        if style == "label":
            delimiter = "." if explode else ","
            return "." + plain(parameter, value, style, delimiter)
        if style == "matrix":
            if explode and isinstance(value, list):
                return "".join(f";{name}={encoded(each)}" for each in value)
            return f";{name}={plain(parameter, value, style)}"
        return quote(plain(parameter, value, style), safe=",=")

    # Bodies

    def _bodies(self, operation: Any) -> Iterator[Any]:
        body = self.follow(operation.get("requestBody", {}))
        for media_type, content in body.get("content", {}).items():
            schema = content.get("schema", {})
            if media_type == "*/*":
                yield "application/json", '{"a": 1}'
                yield "application/json", '{"a"'
                yield "text/plain", "abc"
                yield "application/octet-stream", "\x00\xff"
            elif media_type.endswith("json"):
                for value in [*self.goods(schema), *self.bad(schema)]:
                    yield media_type, json.dumps(value)
                yield media_type, "{"
                yield media_type, ""
                yield "text/csv", "a"
            elif media_type == "multipart/form-data":
                yield from self._multipart(schema, media_type)
            elif "urlencoded" in media_type:
                for value in [*self.goods(schema), *self.bad(schema)]:
                    if isinstance(value, dict):
                        yield media_type, self._urlencoded(content, value)
            else:
                yield from ((media_type, text) for text in ("abc", "abcdef", "\xff\xfe"))
        if body and not body.get("required"):
            yield None

    def _urlencoded(self, content: Any, value: dict[str, Any]) -> str:
        pieces = []
        for name, each in value.items():
            stated = content.get("encoding", {}).get(name, {})
            if "json" in stated.get("contentType", "") or not is_flat(each):
                pieces.append(f"{name}={encoded(json.dumps(each))}")
            else:
                pieces.append(self._in_query({"name": name, **stated}, each))
        return "&".join(piece for piece in pieces if piece)

    def _multipart(self, schema: Any, media_type: str) -> Iterator[Any]:
        properties = self.follow(schema)["properties"]
        for value in [*self.goods(schema), *self.bad(schema)]:
            if not isinstance(value, dict):
                continue
            parts = []
            for name, each in value.items():
                one = self.follow(properties.get(name, {}))
                for item in each if isinstance(each, list) else [each]:
                    inner = self.follow(one.get("items", {})) if isinstance(each, list) else one
                    parts.append(part(name, item, inner))
            yield f"{media_type}; boundary={BOUNDARY}", "".join(parts) + f"--{BOUNDARY}--\r\n"

    # Values

    def good(self, schema: Any) -> Any:
        """Return the first value that fits a schema."""
        return next(self.goods(schema))

    def goods(self, schema: Any, depth: int = 0) -> Iterator[Any]:
        """Return a few values that fit a schema; the first has the required members alone."""
        schema = self.follow(schema)
        if "enum" in schema:
            yield from schema["enum"]
            return
        for key in ("oneOf", "anyOf"):
            if key in schema:
                for each in schema[key]:
                    for value in self.goods(each, depth + 1):
                        yield self._named(schema, each, value)
                return
        if "allOf" in schema:
            yield self._together(schema, depth)
            return
        yield from self._of_type(schema, depth)
        if schema.get("nullable"):
            yield None

    def _named(self, schema: Any, alternative: Any, value: Any) -> Any:
        stated = schema.get("discriminator")
        if not stated or not isinstance(value, dict):
            return value
        names = [k for k, to in stated.get("mapping", {}).items() if to == alternative["$ref"]]
        return {**value, stated["propertyName"]: names[0]}

    def _together(self, schema: Any, depth: int) -> Any:
        parts = [self.follow(each) for each in schema["allOf"]]
        merged = {key: value for part in parts for key, value in part.items()}
        if "properties" not in merged:
            return self.good(merged)
        return {k: v for part in parts for k, v in next(self.goods(part, depth + 1)).items()}

    def _of_type(self, schema: Any, depth: int) -> Iterator[Any]:
        kind = schema.get("type", "object" if "properties" in schema else "string")
        if kind == "integer":
            yield schema.get("minimum", 3)
        elif kind == "number":
            yield schema.get("minimum", 2) + 0.5
        elif kind == "boolean":
            yield True
            yield False
        elif kind == "string":
            yield self._text(schema)
        elif kind == "array":
            item = self.good(schema.get("items", {})) if depth < 3 else 1
            yield [item] * max(schema.get("minItems", 1), 1)
            if depth < 1 and schema.get("maxItems", 2) >= 2 and not schema.get("uniqueItems"):
                yield [item, item]
        else:
            yield from self._objects(schema, depth)

    @staticmethod
    def _text(schema: Any) -> str:
        if schema.get("pattern", "").startswith("^-?[0-9.]"):
            return "52.5,13.4"
        known = FORMATS.get(schema.get("format", ""))
        text = known[0] if known else "abcd"[: schema.get("maxLength", 4)]
        return text.ljust(schema.get("minLength", 0), "a")

    def _objects(self, schema: Any, depth: int) -> Iterator[Any]:
        properties = {
            name: self.follow(each) for name, each in schema.get("properties", {}).items()
        }
        sent = {name: each for name, each in properties.items() if not each.get("readOnly")}
        needed = [name for name in schema.get("required", ()) if name in sent]
        least = {name: next(self.goods(sent[name], depth + 1)) for name in needed}
        yield least
        if depth > 1:
            return
        for name, each in sent.items():
            for value in self.goods(each, depth + 1):
                yield {**least, name: value}
        more = schema.get("additionalProperties")
        if isinstance(more, dict):
            yield {**least, "more": self.good(more)}

    def bad(self, schema: Any, depth: int = 0) -> Iterator[Any]:
        """Return values of which each breaks something that a schema says."""
        schema = self.follow(schema)
        yield from ([], "text", 1, 1.5, True, None, {})
        if "enum" in schema:
            yield "none of these"
        if "maximum" in schema:
            yield schema["maximum"] + 1
        if "minimum" in schema:
            yield schema["minimum"] - 1
            yield schema["minimum"]
        if "maxLength" in schema:
            yield "a" * (schema["maxLength"] + 1)
        if schema.get("minLength"):
            yield "a" * (schema["minLength"] - 1)
        if "pattern" in schema:
            yield "A1"
        if "maxItems" in schema:
            yield [self.good(schema.get("items", {}))] * (schema["maxItems"] + 1)
        if schema.get("uniqueItems"):
            yield ["a", "a"]
        yield from FORMATS.get(schema.get("format", ""), ("", []))[1]
        if depth < 2:
            yield from self._bad_members(schema, depth)

    def _bad_members(self, schema: Any, depth: int) -> Iterator[Any]:
        parts = [schema, *(self.follow(each) for each in schema.get("allOf", ()))]
        for key in ("oneOf", "anyOf"):
            parts += [self.follow(each) for each in schema.get(key, ())]
        whole = next(self.goods(schema))
        for part in parts:
            if isinstance(whole, dict):
                for name in part.get("required", ()):
                    yield {key: value for key, value in whole.items() if key != name}
                for name, each in part.get("properties", {}).items():
                    yield from ({**whole, name: value} for value in self.bad(each, depth + 1))
                yield {**whole, "unknown": "1"}
        if "items" in schema:
            yield from ([value] for value in self.bad(schema["items"], depth + 1))


def is_flat(value: Any) -> bool:
    """Tell whether no array or object lies in a value's items or members."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return not any(isinstance(each, (list, dict)) for each in inner)


def text_of(value: Any) -> str:
    """Write a value as a text."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)


def encoded(value: Any) -> str:
    """Write a value as a text that can stand in a query."""
    return quote_plus(text_of(value))


def flattened(value: Any) -> list[Any]:
    """Write an object as names and values in turn."""
    if isinstance(value, dict):
        return [each for pair in value.items() for each in pair]
    return list(value)


def plain(parameter: Any, value: Any, style: str, delimiter: str = ",") -> str:
    """Write a value in the style of headers and paths."""
    if isinstance(value, dict) and parameter.get("explode"):
        return delimiter.join(f"{name}={text_of(each)}" for name, each in value.items())
    if isinstance(value, (list, dict)):
        return delimiter.join(map(text_of, flattened(value)))
    return text_of(value)


def part(name: str, value: Any, schema: Any) -> str:
    """Write a part of a multipart form."""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"'
    if schema.get("format") == "binary":
        head += '; filename="a.png"\r\nContent-Type: image/png'
    elif isinstance(value, (dict, list)):
        head += "\r\nContent-Type: application/json"
        return f"{head}\r\n\r\n{json.dumps(value)}\r\n"
    return f"{head}\r\n\r\n{text_of(value)}\r\n"


def every_request(name: str) -> list[Request]:
    """Return all requests that are made up from a definition, each once."""
    made = Maker(read(name)).requests()
    return list({each.label: replace(each) for each in made}.values())
