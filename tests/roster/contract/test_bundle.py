"""The bundle: every form of reference ends in one document, whose references are its own."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from roster.contract.bundle import Bundle
from roster.contract.references import dereference

ROOT = """
openapi: 3.0.3
info: {title: Tiny, version: '1'}
paths:
  /things: {$ref: 'paths/things%7Bs%7D.yaml'}
components:
  schemas:
    Named: {type: string, description: the root's}
"""
THINGS = """
get:
  responses:
    '200':
      description: Yes.
      content:
        application/json:
          schema: SCHEMA
"""


def written(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / "api" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder / "api"


def bundled(folder: Path, schema: str, **files: str) -> Bundle:
    named = {name.replace("__", "/") + ".yaml": text for name, text in files.items()}
    root = {"openapi.yaml": ROOT, "paths/things{s}.yaml": THINGS.replace("SCHEMA", schema)}
    return Bundle(written(folder, {**root, **named}))


def schema_of(document: dict[str, Any]) -> Any:
    response = document["paths"]["/things"]["get"]["responses"]["200"]
    return response["content"]["application/json"]["schema"]


STRING = {"type": "string"}


@pytest.mark.parametrize(
    ("schema", "files", "name"),
    [
        ("{$ref: ../schemas/A.yaml}", {"schemas__A": "type: string"}, "A"),
        ("{$ref: '../all.yaml#/A'}", {"all": "A: {type: string}"}, "A"),
        ("{$ref: '../all.yaml#/x/a~1b~0c%20d'}", {"all": "x: {'a/b~c d': {type: string}}"}, None),
        ("{$ref: '../a%62.yaml#/A'}", {"ab": "A: {type: string}"}, "A"),
        ("{$ref: '../l.yaml#/list/1'}", {"l": "list: [{}, {type: string}]"}, "1"),
        ("{$ref: '../A.yaml'}", {"A": "{$ref: '#/inner', inner: {type: string}}"}, "A"),
        ("{$ref: '../A.yaml#/x/y'}", {"A": "x: {$ref: B.yaml}", "B": "y: {type: string}"}, "y"),
        ("{$ref: '../A.yaml'}", {"A": "{$ref: B.yaml}", "B": "type: string"}, "A"),
        ("{$ref: '../A.yaml', type: integer, nullable: true}", {"A": "type: string"}, "A"),
    ],
)
def test_a_reference_leads_to_its_schema(
    tmp_path: Path, schema: str, files: dict[str, str], name: str | None
) -> None:
    bundle = bundled(tmp_path, schema, **files)

    assert not bundle.mistakes
    reference = schema_of(bundle.document)["$ref"]
    assert name is None or reference == f"#/components/schemas/{name}"
    assert {**schema_of(dereference(bundle.document)), "inner": None} == {**STRING, "inner": None}


def test_a_path_file_means_the_root_by_a_component_that_it_has_not(tmp_path: Path) -> None:
    bundle = bundled(tmp_path, "{$ref: '#/components/schemas/Named'}")

    assert not bundle.mistakes
    assert schema_of(bundle.document) == {"$ref": "#/components/schemas/Named"}
    assert schema_of(dereference(bundle.document))["description"] == "the root's"


def test_a_file_means_itself_first(tmp_path: Path) -> None:
    other = (
        "components: {schemas: {Named: {type: integer}}}\nA: {$ref: '#/components/schemas/Named'}"
    )
    bundle = bundled(tmp_path, "{$ref: '../other.yaml#/A'}", other=other)

    assert schema_of(dereference(bundle.document)) == {"type": "integer"}
    # The root's keeps its name, and the other one gets its file's before it.
    schemas = bundle.document["components"]["schemas"]
    assert schemas.keys() == {"A", "Named", "other_Named"}
    assert schemas["Named"]["type"] == "string"


def test_files_of_the_same_name_are_two_components(tmp_path: Path) -> None:
    schema = "{oneOf: [{$ref: ../a/Name.yaml}, {$ref: ../b/Name.yaml}, {$ref: ../a/Name.yaml}]}"
    bundle = bundled(tmp_path, schema, a__Name="type: string", b__Name="type: integer")

    references = [each["$ref"] for each in schema_of(bundle.document)["oneOf"]]
    assert references == [
        "#/components/schemas/Name",
        "#/components/schemas/b_Name",
        "#/components/schemas/Name",
    ]
    resolved = schema_of(dereference(bundle.document))["oneOf"]
    assert [each["type"] for each in resolved] == ["string", "integer", "string"]


def test_the_root_names_what_it_refers_to(tmp_path: Path) -> None:
    root = (
        "    Person: {$ref: schemas/User.yaml}\n    Human: {$ref: '#/components/schemas/Person'}\n"
    )
    folder = written(
        tmp_path,
        {
            "openapi.yaml": ROOT + root,
            "paths/things{s}.yaml": THINGS.replace("SCHEMA", "{$ref: ../schemas/User.yaml}"),
            "schemas/User.yaml": "type: string",
        },
    )
    document = Bundle(folder).document

    assert schema_of(document) == {"$ref": "#/components/schemas/Person"}
    assert document["components"]["schemas"]["Person"] == STRING
    assert document["components"]["schemas"]["Human"] == {"$ref": "#/components/schemas/Person"}


@pytest.mark.parametrize(
    "files",
    [
        {"A": "{type: object, properties: {next: {$ref: '#'}}}"},
        {"A": "{type: object, properties: {next: {$ref: A.yaml}}}"},
        {"A": "{properties: {next: {$ref: B.yaml}}}", "B": "{$ref: A.yaml}"},
    ],
)
def test_a_schema_may_hold_itself(tmp_path: Path, files: dict[str, str]) -> None:
    bundle = bundled(tmp_path, "{$ref: ../A.yaml}", **files)

    assert not bundle.mistakes
    json.dumps(bundle.document)
    schema = schema_of(dereference(bundle.document))
    assert schema["properties"]["next"] is schema


def test_a_definition_of_one_file_works(tmp_path: Path) -> None:
    text = """
openapi: 3.0.3
info: {title: One, version: '1'}
paths:
  /things:
    get:
      parameters: [{$ref: '#/components/parameters/Limit'}]
      responses:
        200: {$ref: '#/components/responses/Things'}
    post: {$ref: '#/paths/~1things/get'}
  /others: {$ref: '#/paths/~1things'}
components:
  parameters:
    Limit: {name: limit, in: query, schema: {type: integer}}
  responses:
    Things:
      description: Yes.
      content:
        application/json:
          schema: {type: array, items: {$ref: '#/components/schemas/Thing'}}
  schemas:
    Thing:
      properties:
        kind: {enum: [NO, on, 2020-01-01], type: string}
        parts: {type: array, items: {$ref: '#/components/schemas/Thing'}}
      discriminator: {propertyName: kind, mapping: {a: '#/components/schemas/Thing', b: Thing}}
"""
    bundle = Bundle(written(tmp_path, {"openapi.yaml": text}))
    expected = yaml.load(text, yaml.BaseLoader)
    paths = expected["paths"]
    paths["/things"]["post"] = paths["/things"]["get"]
    paths["/others"] = paths["/things"]

    assert not bundle.mistakes
    assert bundle.document == expected


def test_a_discriminator_names_the_bundles_schemas(tmp_path: Path) -> None:
    mapped = "{propertyName: k, mapping: {c: ../s/Cat.yaml, n: Cat}}"
    schema = f"{{oneOf: [{{$ref: ../s/Cat.yaml}}], discriminator: {mapped}}}"
    bundle = bundled(tmp_path, schema, s__Cat="type: object")

    mapping = schema_of(bundle.document)["discriminator"]["mapping"]
    assert mapping == {"c": "#/components/schemas/Cat", "n": "Cat"}


def test_a_property_may_be_called_ref(tmp_path: Path) -> None:
    bundle = bundled(tmp_path, "{type: object, properties: {$ref: {type: string}}}")

    assert not bundle.mistakes
    resolved = schema_of(dereference(bundle.document))
    assert resolved == {"type": "object", "properties": {"$ref": STRING}}


def test_beside_the_reference_of_a_path_stand_more_operations(tmp_path: Path) -> None:
    root = ROOT.replace("yaml'}", "yaml', parameters: [], description: d}")
    files = {"openapi.yaml": root, "paths/things{s}.yaml": THINGS.replace("SCHEMA", "{}")}
    item = Bundle(written(tmp_path, files)).document["paths"]["/things"]

    assert item.keys() == {"get", "parameters", "description"}


def test_long_chains_of_references_do_not_fill_the_stack(tmp_path: Path) -> None:
    many = 600
    chain = {f"S{n}": f"properties: {{next: {{$ref: S{n + 1}.yaml}}}}" for n in range(many)}
    bundle = bundled(tmp_path, "{$ref: ../S0.yaml}", **chain, **{f"S{many}": "type: string"})

    assert not bundle.mistakes
    schema = schema_of(dereference(bundle.document))
    for _ in range(many):
        schema = schema["properties"]["next"]
    assert schema == STRING


# Mistakes


def mistake(bundle: Bundle) -> str:
    assert len(bundle.mistakes) == 1
    return str(bundle.mistakes[0])


@pytest.mark.parametrize(
    ("schema", "sentence"),
    [
        ("{$ref: ../schemas/Projct.yaml}", "there is no file ../schemas/Projct.yaml"),
        ("{$ref: ../Projct.yaml}", "there is no file ../Projct.yaml; did you mean Project.yaml?"),
        ("{$ref: '../Project.yaml#/nme'}", "there is no ../Project.yaml#/nme; did you mean name?"),
        ("{$ref: '#/components/schemas/Nmed'}", "did you mean Named?"),
        ("{$ref: '#/nothing'}", "there is no #/nothing"),
        ("{$ref: ../../../../etc/passwd}", "is outside the folder api"),
        ("{$ref: /etc/passwd}", "is outside the folder api"),
        ("{$ref: 'file:///etc/passwd'}", "is not fetched"),
        ("{$ref: 'http://127.0.0.1/a.yaml'}", "is not fetched"),
        ("{$ref: '//127.0.0.1/a.yaml'}", "is not fetched"),
        ("{$ref: ../link.yaml}", "is outside the folder api"),
        ("{$ref: ../loop.yaml}", "no file can have this name"),
        ("{$ref: ..}", "there is no file .."),
        ("{$ref: 'a%00b'}", "no file can have this name"),
        ("{$ref: '../Project.yaml#/a/b/c'}", "there is no ../Project.yaml#/a/b/c"),
    ],
)
def test_a_reference_to_nothing_is_told_with_the_file_that_holds_it(
    tmp_path: Path, schema: str, sentence: str
) -> None:
    (tmp_path / "api").mkdir()
    (tmp_path / "outside.yaml").write_text("type: string")
    (tmp_path / "api" / "link.yaml").symlink_to(tmp_path / "outside.yaml")
    (tmp_path / "api" / "loop.yaml").symlink_to("loop.yaml")
    told = mistake(bundled(tmp_path, schema, Project="name: {type: string}"))

    assert told.startswith("api/paths/things{s}.yaml: GET /things: $ref: ")
    assert sentence in told


@pytest.mark.parametrize(
    ("schema", "files"),
    [
        ("{$ref: ../A.yaml}", {"A": "{$ref: B.yaml}", "B": "{$ref: A.yaml}"}),
        ("{$ref: ../A.yaml}", {"A": "{$ref: A.yaml}"}),
        ("{example: {$ref: ../A.yaml}}", {"A": "{a: {$ref: A.yaml}}"}),
    ],
)
def test_references_that_never_reach_a_value_are_refused(
    tmp_path: Path, schema: str, files: dict[str, str]
) -> None:
    bundle = bundled(tmp_path, schema, **files)

    assert bundle.mistakes
    assert all("leads back to itself" in str(each) for each in bundle.mistakes)


BOMB = "a0: &a0 [x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12)
)
MERGES = "a0: &a0 {x: 1}\n" + "".join(
    f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}]}}\n" for n in range(1, 12)
)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (b"", "the file is empty"),
        (b"type: string\ntype: integer", "line 2, column 1: the key 'type' stands twice"),
        (b"200: a\n'200': b", "line 2, column 1: the key '200' stands twice"),
        (b"a: b: c", "line 1, column 5: "),
        (b"a:\n  - b\n c: d", "line 3, column 2: "),
        (b"a: [", "line 2, column 1: "),
        (b"a: \xff", "line 1: this is not UTF-8"),
        (b"a: b\nc: \x07", "line 2: YAML allows no such character"),
        (b"a: !!python/object:os.system {}", "line 1, column 4: "),
        (b"a: &a {b: *a}", "an alias holds itself"),
        (b"[" * 100_000, "line 1: this is more than 100 levels deep"),
        (b"- " * 100_000, "line 1: this is more than 100 levels deep"),
        (b"a: " + b"[" * 101 + b"]" * 101, "this is more than 100 levels deep"),
        (BOMB.encode(), "the definition has more than"),
        (MERGES.encode(), "more than 10000 members after its merges"),
        (b"a: !!binary aGk=", "a value is of a kind that JSON has not (bytes)"),
        (b"? [a, b]\n: c", "line 1, column 3: a key must be text"),
        (b"a: " + b"1" * 5_000, "line 1, column 4: this is no number that can be read"),
        (b"a: 1.5e999", "line 1, column 4: this is no number that can be read"),
        (b"a: b\n---\nc: d", "line 2, column 1: "),
    ],
)
def test_a_file_that_cannot_be_read_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: bytes, sentence: str
) -> None:
    monkeypatch.setattr("roster.contract.bundle.MAX_NODES", 10_000)
    folder = written(tmp_path, {"openapi.yaml": ROOT, "paths/things{s}.yaml": ""})
    (folder / "paths/things{s}.yaml").write_bytes(text)
    told = mistake(Bundle(folder))

    assert told.startswith("api/paths/things{s}.yaml: ")
    assert sentence in told
    assert "\n" not in told


def test_a_definition_that_is_too_large_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("roster.contract.files.MAX_BYTES", 2**20)
    told = mistake(bundled(tmp_path, "{$ref: ../A.yaml}", A="a: " + "x" * 2**20))

    assert told == "api/A.yaml: the definition is larger than 1 MiB"


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({}, "there is no such folder"),
        ({"README.md": ""}, "api/: there is no openapi.yaml in it"),
        ({"openapi.yaml": "- a"}, "api/openapi.yaml: the document must be a mapping"),
        ({"openapi.yaml": "a"}, "api/openapi.yaml: the document must be a mapping"),
        ({"openapi.yaml": ""}, "api/openapi.yaml: the file is empty"),
    ],
)
def test_a_folder_without_a_definition_is_told(
    tmp_path: Path, files: dict[str, str], sentence: str
) -> None:
    assert sentence in mistake(Bundle(written(tmp_path, files)))
