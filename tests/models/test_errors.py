import pytest

from models.errors import (
    Conflict,
    DomainError,
    Forbidden,
    NotFound,
    OAuthError,
    PasswordRequired,
    Unprocessable,
)


@pytest.mark.parametrize("kind", [NotFound, Forbidden, PasswordRequired, Conflict, Unprocessable])
def test_an_error_has_a_sentence_and_perhaps_places(kind: type[DomainError]) -> None:
    error = kind("No.", [("/email", "Not this.")])
    assert str(error) == error.detail == "No."
    assert error.errors == [("/email", "Not this.")]
    assert kind("No.").errors == []
    assert not error.consequence


def test_a_missing_password_is_forbidden() -> None:
    assert issubclass(PasswordRequired, Forbidden)


def test_an_oauth_refusal_has_what_its_answer_needs() -> None:
    error = OAuthError("invalid_client", "Unknown.", 401)
    assert (error.error, error.description, error.status) == ("invalid_client", "Unknown.", 401)
    assert error.detail == "Unknown."
    assert not error.consequence


def test_an_oauth_refusal_may_have_a_consequence() -> None:
    error = OAuthError("invalid_grant", "Used before.", consequence=True)
    assert error.consequence
    assert error.status == 400
