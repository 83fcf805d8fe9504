import base64
import hashlib

from models.oauth import token
from models.oauth.secret import digest, generate


def test_a_secret_has_256_random_bits() -> None:
    made = {generate() for _ in range(100)}
    assert len(made) == 100
    assert all(len(base64.urlsafe_b64decode(secret + "=")) == 32 for secret in made)


def test_a_generator_takes_the_request_of_oauthlib() -> None:
    assert generate(object()) != generate(object())


def test_a_secret_is_kept_as_its_sha256() -> None:
    assert digest("abc") == hashlib.sha256(b"abc").digest()


def test_whatever_is_sent_has_a_digest() -> None:
    assert len(digest("\ud800\0ü")) == 32


def test_tokens_are_secrets() -> None:
    assert token.generate is generate
    assert token.digest is digest
