"""What the RFCs demand of an authorization server and of a resource server, and what shows it.

One row for each MUST, SHOULD and their like: the section, the demand in a few words, and the test
that shows it; where no test does, the reason why not. Demands on clients, browsers and the authors
of extensions alone are not here.
"""

from typing import NamedTuple


class Shown(NamedTuple):
    """The test that shows a requirement: its file below `tests`, and its name."""

    file: str
    test: str

    @property
    def node_id(self) -> str:
        """The test as pytest names it, without parameters."""
        return f"tests/{self.file}::{self.test}"


class NotShown(NamedTuple):
    """Why no test shows a requirement."""

    reason: str


class Row(NamedTuple):
    """A requirement."""

    rfc: int
    section: str
    requirement: str
    evidence: Shown | NotShown


AUTHORIZE = "handlers/test_authorize.py"
BOUNDARY = "roster/server/test_entry.py"
CLIENTS = "handlers/test_clients.py"
CONSENT = "models/oauth/test_consent.py"
DOCUMENTATION = "roster/api/test_documentation.py"
ERRORS = "roster/http/test_errors.py"
FORMS = "roster/oauth/test_forms.py"
INTROSPECTION = "handlers/test_introspection.py"
LOGIN = "handlers/test_login.py"
METADATA = "handlers/test_metadata.py"
RACES = "test_races.py"
REDIRECT_URIS = "models/oauth/test_redirect_uris.py"
RFC = "test_rfc.py"
SECRET = "models/oauth/test_secret.py"
SECURITY = "roster/stack/test_security.py"
SETTINGS = "roster/test_settings.py"
TOKENS = "handlers/test_tokens.py"
USERS = "handlers/test_users.py"

TLS = NotShown(
    "a proxy in front ends TLS; production refuses an http issuer off the loopback, and over https"
    " the answers demand it from then on"
)
PROXY = NotShown("of concern to the operator of the proxy")
ONE_RESOURCE = NotShown("there is one resource server, at the issuer's own origin")
SENDER = NotShown("needs TLS certificates or DPoP, which clients would have to have")
SIGNED = NotShown("optional, and not offered: the document comes from its subject's own origin")
OPAQUE = NotShown("tokens are opaque: random, and looked up")
NO_KEYS = NotShown("no method with keys is offered, for clients or for tokens")

ROWS = (
    Row(
        6749,
        "2.1",
        "the type of a client is what it was registered as, and no guess",
        Shown(CLIENTS, "test_a_public_client_has_no_secret"),
    ),
    Row(
        6749,
        "2.2",
        "a client identifier is unique",
        Shown(CLIENTS, "test_identifiers_and_secrets_differ"),
    ),
    Row(
        6749,
        "2.2",
        "a client identifier alone is no authentication",
        Shown(TOKENS, "test_a_confidential_client_needs_its_secret"),
    ),
    Row(
        6749,
        "2.2",
        "the size of an identifier is documented",
        Shown(RFC, "test_the_definition_tells_how_long_a_thing_that_is_issued_may_be"),
    ),
    Row(
        6749,
        "2.3",
        "the id of a public client is no proof of who it is",
        Shown(AUTHORIZE, "test_an_app_that_anyone_can_pose_as_is_asked_about_each_time"),
    ),
    Row(
        6749,
        "2.3",
        "a client uses no more than one method of authentication per request",
        Shown(TOKENS, "test_two_methods_of_authentication_are_refused"),
    ),
    Row(
        6749,
        "2.3.1",
        "HTTP Basic is supported for clients with a secret",
        Shown(TOKENS, "test_a_client_may_name_itself_by_basic"),
    ),
    Row(
        6749,
        "2.3.1",
        "id and secret in HTTP Basic are form-encoded",
        Shown(TOKENS, "test_basic_credentials_are_url_encoded"),
    ),
    Row(
        6749,
        "2.3.1",
        "credentials are in the body, never in the request URI",
        Shown(TOKENS, "test_in_production_a_known_parameter_in_the_url_is_refused"),
    ),
    Row(
        6749,
        "2.3.1",
        "secrets are protected against brute force at each endpoint that takes one",
        Shown(RFC, "test_guesses_at_a_secret_are_limited_wherever_one_is_taken"),
    ),
    Row(6749, "2.3.1", "TLS wherever a secret is sent", TLS),
    Row(6749, "2.3.2", "other methods of authentication", NotShown("none is offered")),
    Row(
        6749,
        "3.1",
        "the authorization endpoint supports GET",
        Shown(AUTHORIZE, "test_a_user_signs_in_through_a_client"),
    ),
    Row(
        6749,
        "3.1",
        "the identity of the resource owner is verified first",
        Shown(AUTHORIZE, "test_the_client_hears_what_is_wrong_after_the_login"),
    ),
    Row(
        6749,
        "3.1",
        "the URL of the authorization endpoint has no fragment",
        Shown(RFC, "test_no_endpoint_has_a_query_or_a_fragment"),
    ),
    Row(6749, "3.1", "TLS at the authorization endpoint", TLS),
    Row(
        6749,
        "3.1",
        "an unrecognised parameter of an authorization request is ignored",
        Shown(RFC, "test_an_unknown_parameter_of_an_authorization_request_is_ignored"),
    ),
    Row(
        6749,
        "3.1",
        "a parameter without a value counts as omitted at authorization",
        Shown(RFC, "test_an_empty_parameter_of_an_authorization_request_counts_as_omitted"),
    ),
    Row(
        6749,
        "3.1",
        "a parameter is not repeated at authorization",
        Shown(AUTHORIZE, "test_a_repeated_parameter_is_refused_and_a_repeated_state_not_returned"),
    ),
    Row(
        6749,
        "3.1.1",
        "a missing or unknown response type is an error",
        Shown(AUTHORIZE, "test_the_client_hears_what_is_wrong_after_the_login"),
    ),
    Row(
        6749,
        "3.1.2",
        "a redirect URI is absolute and has no fragment",
        Shown(CLIENTS, "test_an_unsafe_redirect_uri_is_refused"),
    ),
    Row(
        6749,
        "3.1.2",
        "the query of a redirect URI is retained",
        Shown(RFC, "test_the_query_of_a_redirect_uri_is_retained"),
    ),
    Row(
        6749,
        "3.1.2.1",
        "a redirect URI uses TLS, or never leaves the user's device",
        Shown(CLIENTS, "test_an_unsafe_redirect_uri_is_refused"),
    ),
    Row(
        6749,
        "3.1.2.2",
        "a client of the code grant registers its redirect URI, a public one too",
        Shown(CLIENTS, "test_the_code_grant_needs_a_redirect_uri"),
    ),
    Row(
        6749,
        "3.1.2.2",
        "redirect URIs are registered whole",
        Shown(REDIRECT_URIS, "test_nothing_else_will_do"),
    ),
    Row(
        6749,
        "3.1.2.3",
        "the redirect URI is named where several are registered",
        Shown(AUTHORIZE, "test_a_place_may_be_left_out_where_there_is_only_one"),
    ),
    Row(
        6749,
        "3.1.2.3",
        "the redirect URI is compared with those registered",
        Shown(AUTHORIZE, "test_an_unknown_client_or_place_is_never_redirected_to"),
    ),
    Row(
        6749,
        "3.1.2.3",
        "one that was registered whole is compared to the letter",
        Shown(REDIRECT_URIS, "test_nothing_else_will_do"),
    ),
    Row(
        6749,
        "3.1.2.4",
        "an invalid redirect URI is told to the user, and never redirected to",
        Shown(AUTHORIZE, "test_an_unknown_client_or_place_is_never_redirected_to"),
    ),
    Row(
        6749,
        "3.1.2.5",
        "the documentation's own redirection page has no script of others",
        Shown(DOCUMENTATION, "test_the_redirection_page_loads_nothing_but_its_own_script"),
    ),
    Row(
        6749,
        "3.2",
        "the token endpoint takes POST",
        Shown(TOKENS, "test_the_token_endpoint_takes_no_get"),
    ),
    Row(
        6749,
        "3.2",
        "the URL of the token endpoint has no fragment",
        Shown(RFC, "test_no_endpoint_has_a_query_or_a_fragment"),
    ),
    Row(6749, "3.2", "TLS at the token endpoint", TLS),
    Row(
        6749,
        "3.2",
        "a parameter without a value counts as omitted",
        Shown(FORMS, "test_an_empty_parameter_counts_as_omitted"),
    ),
    Row(
        6749,
        "3.2",
        "an unrecognised parameter is ignored",
        Shown(TOKENS, "test_an_unknown_parameter_is_ignored"),
    ),
    Row(
        6749,
        "3.2",
        "a parameter is not repeated",
        Shown(TOKENS, "test_a_repeated_parameter_is_refused"),
    ),
    Row(
        6749,
        "3.2",
        "names and values are UTF-8 (appendix B)",
        Shown(TOKENS, "test_a_form_that_cannot_be_read_is_an_invalid_request"),
    ),
    Row(
        6749,
        "3.2.1",
        "a confidential client authenticates at the token endpoint",
        Shown(TOKENS, "test_a_confidential_client_needs_its_secret"),
    ),
    Row(
        6749,
        "3.2.1",
        "so does any other client that was issued a secret",
        NotShown(
            "a public client gets one from the operator alone, for client credentials and"
            " introspection; one that it sends is always checked"
        ),
    ),
    Row(
        6749,
        "3.2.1",
        "a client that does not authenticate sends its client_id with a code",
        Shown(RFC, "test_a_public_client_names_itself_at_the_exchange"),
    ),
    Row(
        6749,
        "3.3",
        "scopes are case-sensitive and of certain characters",
        Shown(TOKENS, "test_a_scope_that_is_unknown_or_malformed_is_refused"),
    ),
    Row(
        6749,
        "3.3",
        "the answer tells the scope where it is not that asked for",
        Shown(AUTHORIZE, "test_what_stays_ticked_is_granted"),
    ),
    Row(
        6749,
        "3.3",
        "a missing scope is a default or an error",
        Shown(AUTHORIZE, "test_no_scope_asks_for_all_of_the_clients"),
    ),
    Row(
        6749,
        "3.3",
        "the default and what scopes mean are documented",
        Shown(RFC, "test_the_definition_tells_what_no_scope_means"),
    ),
    Row(
        6749,
        "4.1.1",
        "response_type is required",
        Shown(AUTHORIZE, "test_the_client_hears_what_is_wrong_after_the_login"),
    ),
    Row(
        6749,
        "4.1.1",
        "client_id is required",
        Shown(AUTHORIZE, "test_an_unknown_client_or_place_is_never_redirected_to"),
    ),
    Row(
        6749,
        "4.1.2",
        "a code expires shortly",
        Shown(CONSENT, "test_a_code_is_not_exchanged_for_another_or_too_late"),
    ),
    Row(
        6749,
        "4.1.2",
        "a code lives ten minutes at most",
        Shown(SETTINGS, "test_a_wrong_setting_is_named_in_one_line"),
    ),
    Row(
        6749,
        "4.1.2",
        "a code is used once",
        Shown(CONSENT, "test_a_code_is_exchanged_once_and_then_ends_its_family"),
    ),
    Row(
        6749,
        "4.1.2",
        "a code that is used again ends the tokens issued for it",
        Shown(AUTHORIZE, "test_a_code_that_comes_back_ends_what_it_had_issued"),
    ),
    Row(
        6749,
        "4.1.2",
        "a code is bound to client and redirect URI",
        Shown(AUTHORIZE, "test_a_code_is_bound_to_client_and_place"),
    ),
    Row(
        6749,
        "4.1.2",
        "the state is returned exactly as received",
        Shown(RFC, "test_the_state_is_returned_exactly"),
    ),
    Row(
        6749,
        "4.1.2",
        "the size of a code is documented",
        Shown(RFC, "test_the_definition_tells_how_long_a_thing_that_is_issued_may_be"),
    ),
    Row(
        6749,
        "4.1.2.1",
        "an unknown client or redirect URI is told to the user, without a redirect",
        Shown(AUTHORIZE, "test_an_unknown_client_or_place_is_never_redirected_to"),
    ),
    Row(
        6749,
        "4.1.2.1",
        "an error has a code and the state of the request",
        Shown(AUTHORIZE, "test_the_client_hears_what_is_wrong_after_the_login"),
    ),
    Row(
        6749,
        "4.1.2.1",
        "error and error_description have only certain characters",
        Shown(RFC, "test_a_client_is_told_what_is_wrong_in_certain_characters"),
    ),
    Row(
        6749,
        "4.1.2.1",
        "a refusal of the user is access_denied",
        Shown(AUTHORIZE, "test_a_user_may_decline"),
    ),
    Row(
        6749,
        "4.1.2.1",
        "a client without the grant is unauthorized_client",
        Shown(AUTHORIZE, "test_a_client_without_the_grant_may_not_ask"),
    ),
    Row(6749, "4.1.3", "code is required", Shown(RFC, "test_an_exchange_needs_its_code")),
    Row(
        6749,
        "4.1.3",
        "the token request names the redirect URI of the authorization request",
        Shown(AUTHORIZE, "test_a_code_is_bound_to_client_and_place"),
    ),
    Row(
        6749,
        "4.1.3",
        "client_id is required of a client that does not authenticate",
        Shown(RFC, "test_a_public_client_names_itself_at_the_exchange"),
    ),
    Row(
        6749,
        "4.1.3",
        "a confidential client authenticates to exchange a code",
        Shown(RFC, "test_a_confidential_client_needs_its_secret_for_code_and_refresh"),
    ),
    Row(
        6749,
        "4.1.3",
        "the code was issued to the client that authenticates",
        Shown(AUTHORIZE, "test_a_code_is_bound_to_client_and_place"),
    ),
    Row(
        6749,
        "4.1.3",
        "the code was issued to the public client that is named",
        Shown(RFC, "test_a_public_client_names_itself_at_the_exchange"),
    ),
    Row(
        6749,
        "4.1.3",
        "the code is valid",
        Shown(CONSENT, "test_a_code_is_not_exchanged_for_another_or_too_late"),
    ),
    Row(
        6749,
        "4.1.4",
        "a valid code gives tokens",
        Shown(AUTHORIZE, "test_a_user_signs_in_through_a_client"),
    ),
    Row(
        6749,
        "4.2",
        "the implicit grant",
        NotShown("RFC 9700 section 2.1.2 advises against it: there is none"),
    ),
    Row(
        6749,
        "4.3.2",
        "username and password are required",
        Shown(TOKENS, "test_a_parameter_that_is_missing_or_empty_is_an_invalid_request"),
    ),
    Row(
        6749,
        "4.3.2",
        "a confidential client authenticates for the password grant",
        Shown(TOKENS, "test_a_confidential_client_needs_its_secret"),
    ),
    Row(
        6749,
        "4.3.2",
        "credentials that a client sends are checked before the password",
        Shown(
            TOKENS, "test_a_client_with_a_wrong_secret_is_refused_before_the_password_is_looked_at"
        ),
    ),
    Row(
        6749,
        "4.3.2",
        "the password is validated",
        Shown(TOKENS, "test_users_unknown_inactive_or_with_a_wrong_password_are_refused_alike"),
    ),
    Row(
        6749,
        "4.3.2",
        "the password endpoint is protected against brute force",
        Shown(LOGIN, "test_eleven_wrong_logins_are_too_many_and_the_token_endpoint_counts_along"),
    ),
    Row(
        6749,
        "4.4",
        "client credentials are for confidential clients only",
        Shown(CLIENTS, "test_a_public_client_has_no_client_credentials"),
    ),
    Row(
        6749,
        "4.4.2",
        "the client authenticates for client credentials",
        Shown(TOKENS, "test_a_public_client_needs_its_secret_for_client_credentials"),
    ),
    Row(
        6749,
        "4.4.3",
        "client credentials give no refresh token",
        Shown(TOKENS, "test_a_client_credentials_token_is_a_services_and_has_no_refresh_token"),
    ),
    Row(6749, "4.5", "extension grants", NotShown("none is offered")),
    Row(
        6749,
        "5.1",
        "an answer with a token has all that is required",
        Shown(TOKENS, "test_a_login_gives_a_pair_of_tokens"),
    ),
    Row(
        6749,
        "5.1",
        "the scope is told where it is not that asked for",
        Shown(TOKENS, "test_a_scope_that_is_asked_is_given_in_order"),
    ),
    Row(
        6749,
        "5.1",
        "an answer with a token is not stored by caches",
        Shown(RFC, "test_an_answer_with_a_token_is_not_stored"),
    ),
    Row(
        6749,
        "5.1",
        "an answer with another secret is not stored by caches",
        Shown(RFC, "test_an_answer_with_a_secret_is_not_stored"),
    ),
    Row(
        6749,
        "5.1",
        "the size of a token is documented",
        Shown(RFC, "test_the_definition_tells_how_long_a_thing_that_is_issued_may_be"),
    ),
    Row(
        6749,
        "5.2",
        "an error is 400 with a code, in JSON",
        Shown(TOKENS, "test_a_parameter_that_is_missing_or_empty_is_an_invalid_request"),
    ),
    Row(
        6749,
        "5.2",
        "an unknown client is invalid_client, 401 after HTTP Basic and else 400",
        Shown(TOKENS, "test_a_client_that_is_unknown_or_has_a_wrong_secret_is_refused"),
    ),
    Row(
        6749,
        "5.2",
        "401 has WWW-Authenticate of the scheme that the client used",
        Shown(RFC, "test_a_client_that_fails_is_challenged_in_its_scheme"),
    ),
    Row(
        6749,
        "5.2",
        "an unknown grant type is unsupported_grant_type",
        Shown(TOKENS, "test_an_unknown_grant_type_is_unsupported"),
    ),
    Row(
        6749,
        "5.2",
        "a grant that the client may not use is unauthorized_client",
        Shown(TOKENS, "test_a_client_without_client_credentials_is_refused"),
    ),
    Row(
        6749,
        "5.2",
        "an unknown scope is invalid_scope",
        Shown(TOKENS, "test_a_scope_that_is_unknown_or_malformed_is_refused"),
    ),
    Row(
        6749,
        "5.2",
        "error_description has only certain characters",
        Shown(ERRORS, "test_the_description_of_an_oauth_error_has_only_the_characters_of_rfc_6749"),
    ),
    Row(6749, "6", "refresh_token is required", Shown(TOKENS, "test_a_refresh_needs_its_token")),
    Row(
        6749,
        "6",
        "a refresh asks for no scope beyond the original",
        Shown(TOKENS, "test_a_refresh_never_widens_the_scope_and_a_refused_one_costs_nothing"),
    ),
    Row(
        6749,
        "6",
        "a confidential client authenticates to refresh",
        Shown(RFC, "test_a_confidential_client_needs_its_secret_for_code_and_refresh"),
    ),
    Row(
        6749,
        "6",
        "credentials that a client sends are checked before the refresh token",
        Shown(TOKENS, "test_a_refresh_with_a_wrong_secret_costs_nothing"),
    ),
    Row(
        6749,
        "6",
        "a refresh token is bound to its client",
        Shown(TOKENS, "test_another_clients_refresh_token_is_refused_and_stays_good"),
    ),
    Row(
        6749,
        "6",
        "a refresh token is validated",
        Shown(TOKENS, "test_an_unknown_refresh_token_is_refused"),
    ),
    Row(
        6749,
        "6",
        "a new refresh token has the scope of the old one",
        Shown(TOKENS, "test_a_narrower_scope_is_given_for_one_token_only"),
    ),
    Row(
        6749,
        "7",
        "the resource server validates the token: it has not expired",
        Shown(SECURITY, "test_an_expired_token_is_challenged"),
    ),
    Row(
        6749,
        "7",
        "the resource server validates the token: its scope covers the resource",
        Shown(SECURITY, "test_a_token_without_the_scope_is_told_which_it_lacks"),
    ),
    Row(
        6749,
        "7.2",
        "the resource server tells the client of the error, as error",
        Shown(SECURITY, "test_an_unknown_token_is_challenged"),
    ),
    Row(6749, "8", "extensions", NotShown("none is defined here")),
    Row(
        6749,
        "10.1",
        "no secret is issued to apps that cannot keep one",
        Shown(CLIENTS, "test_a_public_client_gets_no_secret"),
    ),
    Row(
        6749,
        "10.1",
        "other means tell who a public client is: its redirect URI, and the user",
        Shown(AUTHORIZE, "test_an_app_that_anyone_can_pose_as_is_asked_about_each_time"),
    ),
    Row(
        6749,
        "10.2",
        "a client is authenticated wherever it can be",
        Shown(TOKENS, "test_a_secret_of_another_client_is_wrong"),
    ),
    Row(
        6749,
        "10.2",
        "a client that cannot be authenticated registers its redirect URIs",
        Shown(CLIENTS, "test_the_code_grant_needs_a_redirect_uri"),
    ),
    Row(
        6749,
        "10.2",
        "the user authenticates, and hears of client, scope and place",
        Shown(AUTHORIZE, "test_the_consent_page_says_who_asks_as_whom_and_where_it_leads"),
    ),
    Row(
        6749,
        "10.2",
        "the user hears for how long",
        Shown(RFC, "test_the_consent_page_says_for_how_long"),
    ),
    Row(
        6749,
        "10.2",
        "consent is not skipped for a client that anyone can pose as",
        Shown(AUTHORIZE, "test_an_app_that_anyone_can_pose_as_is_asked_about_each_time"),
    ),
    Row(
        6749,
        "10.3",
        "access tokens are confidential in storage",
        Shown(TOKENS, "test_tokens_and_secrets_are_stored_as_hashes_only"),
    ),
    Row(6749, "10.3", "access tokens are confidential in transit", TLS),
    Row(
        6749,
        "10.3",
        "access tokens cannot be made, changed or guessed",
        Shown(TOKENS, "test_tokens_are_long_and_differ"),
    ),
    Row(
        6749,
        "10.3",
        "the client is regarded where a scope is granted",
        Shown(TOKENS, "test_no_client_gets_more_than_it_has"),
    ),
    Row(
        6749,
        "10.4",
        "refresh tokens are confidential in storage",
        Shown(TOKENS, "test_tokens_and_secrets_are_stored_as_hashes_only"),
    ),
    Row(6749, "10.4", "refresh tokens are confidential in transit", TLS),
    Row(
        6749,
        "10.4",
        "a refresh token stays bound to its client, which is verified",
        Shown(TOKENS, "test_another_clients_refresh_token_is_refused_and_stays_good"),
    ),
    Row(
        6749,
        "10.4",
        "abuse of the refresh tokens of public clients is detected",
        Shown(TOKENS, "test_a_used_refresh_token_that_comes_back_ends_its_family"),
    ),
    Row(
        6749,
        "10.4",
        "refresh tokens cannot be made, changed or guessed",
        Shown(TOKENS, "test_tokens_are_long_and_differ"),
    ),
    Row(
        6749,
        "10.5",
        "codes go over a secure channel",
        Shown(CLIENTS, "test_an_unsafe_redirect_uri_is_refused"),
    ),
    Row(
        6749,
        "10.5",
        "codes are short-lived and for one use, and many uses end what was granted",
        Shown(AUTHORIZE, "test_a_code_that_comes_back_ends_what_it_had_issued"),
    ),
    Row(
        6749,
        "10.5",
        "a client that can be authenticated is, and the code was issued to it",
        Shown(RFC, "test_a_confidential_client_needs_its_secret_for_code_and_refresh"),
    ),
    Row(
        6749,
        "10.6",
        "the redirect URI is the same in both requests",
        Shown(AUTHORIZE, "test_a_code_is_bound_to_client_and_place"),
    ),
    Row(
        6749,
        "10.6",
        "clients register their redirect URIs",
        Shown(CLIENTS, "test_the_code_grant_needs_a_redirect_uri"),
    ),
    Row(
        6749,
        "10.6",
        "a redirect URI in a request is validated",
        Shown(AUTHORIZE, "test_an_unknown_client_or_place_is_never_redirected_to"),
    ),
    Row(
        6749,
        "10.7",
        "the password grant is used as little as can be",
        Shown(CLIENTS, "test_grants_without_consent_are_given_by_admins_with_all_scopes"),
    ),
    Row(6749, "10.8", "nothing secret goes in the clear", TLS),
    Row(6749, "10.9", "TLS with server authentication at both endpoints", TLS),
    Row(
        6749,
        "10.10",
        "tokens, codes and secrets cannot be guessed",
        Shown(SECRET, "test_a_secret_has_256_random_bits"),
    ),
    Row(
        6749,
        "10.10",
        "passwords are protected by other means",
        Shown(LOGIN, "test_eleven_wrong_logins_are_too_many_and_the_token_endpoint_counts_along"),
    ),
    Row(6749, "10.11", "TLS on every page", TLS),
    Row(
        6749,
        "10.12",
        "the authorization endpoint is protected against CSRF",
        Shown(AUTHORIZE, "test_a_forged_form_is_refused"),
    ),
    Row(
        6749,
        "10.12",
        "no client is authorised without explicit consent",
        Shown(AUTHORIZE, "test_a_user_may_decline"),
    ),
    Row(
        6749,
        "10.13",
        "the pages cannot be framed",
        Shown(RFC, "test_a_page_cannot_be_framed_and_leads_nowhere_else"),
    ),
    Row(
        6749,
        "10.14",
        "what is received is validated and escaped",
        Shown(AUTHORIZE, "test_pages_are_escaped_and_closed_to_others"),
    ),
    Row(6749, "10.15", "no open redirector", Shown(LOGIN, "test_the_login_leads_nowhere_else")),
    Row(6749, "11", "registrations with IANA", NotShown("of concern to the authors of extensions")),
    Row(
        6750,
        "2",
        "a request uses one method of sending the token",
        Shown(SECURITY, "test_two_authorization_headers_are_refused"),
    ),
    Row(
        6750,
        "2.1",
        "the Authorization header is supported",
        Shown(SECURITY, "test_a_bearer_token_may_be_written_in_some_ways"),
    ),
    Row(6750, "2.2", "the token in a form body", NotShown("optional; the API takes no forms")),
    Row(
        6750,
        "2.3",
        "the token in the URL is not used",
        Shown(SECURITY, "test_a_token_in_the_url_counts_for_nothing"),
    ),
    Row(
        6750,
        "3",
        "a request without a token is answered with WWW-Authenticate",
        Shown(SECURITY, "test_without_a_token_the_challenge_has_no_error_code"),
    ),
    Row(
        6750,
        "3",
        "a request without a good token is answered with WWW-Authenticate",
        Shown(SECURITY, "test_an_unknown_token_is_challenged"),
    ),
    Row(
        6750,
        "3",
        "a challenge is Bearer, with each attribute once and of certain characters",
        Shown(SECURITY, "test_a_token_without_the_scope_is_told_which_it_lacks"),
    ),
    Row(
        6750,
        "3",
        "a token that failed is told by error",
        Shown(SECURITY, "test_an_unknown_token_is_challenged"),
    ),
    Row(
        6750,
        "3.1",
        "a malformed request is 400 invalid_request",
        NotShown(
            "only the header is read: what is wrong with it is a malformed token, 401 invalid_token"
        ),
    ),
    Row(
        6750,
        "3.1",
        "an expired or revoked token is 401 invalid_token",
        Shown(SECURITY, "test_an_expired_token_is_challenged"),
    ),
    Row(
        6750,
        "3.1",
        "a malformed token is 401 invalid_token",
        Shown(SECURITY, "test_a_malformed_token_is_challenged"),
    ),
    Row(
        6750,
        "3.1",
        "too little scope is 403 insufficient_scope",
        Shown(SECURITY, "test_a_token_without_the_scope_is_told_which_it_lacks"),
    ),
    Row(
        6750,
        "3.1",
        "a request without any token, or with another scheme, gets no error code",
        Shown(SECURITY, "test_another_scheme_counts_as_no_token"),
    ),
    Row(
        6750,
        "5.2",
        "a token that refers to a grant cannot be guessed",
        Shown(SECRET, "test_a_secret_has_256_random_bits"),
    ),
    Row(
        6750,
        "5.2",
        "the integrity of what a token says",
        NotShown("a token says nothing: it is random, and looked up"),
    ),
    Row(
        6750,
        "5.2",
        "tokens are restricted in scope",
        Shown(SECURITY, "test_a_token_without_the_scope_is_told_which_it_lacks"),
    ),
    Row(6750, "5.2", "TLS, at the authorization server and at the resource server", TLS),
    Row(
        6750,
        "5.2",
        "a token is not stored in a cookie",
        Shown(SECURITY, "test_a_token_in_a_cookie_counts_for_nothing"),
    ),
    Row(6750, "5.2", "tokens are confidential between a proxy and the server", PROXY),
    Row(
        6750,
        "5.2",
        "the lifetime of a token is limited",
        Shown(TOKENS, "test_an_expired_access_token_is_refused_and_can_be_refreshed"),
    ),
    Row(
        6750,
        "5.3",
        "access tokens live an hour or less",
        Shown(TOKENS, "test_lifetimes_are_as_documented_by_default"),
    ),
    Row(6750, "5.3", "tokens have an audience", ONE_RESOURCE),
    Row(
        6750,
        "5.3",
        "tokens are not in the URLs of pages",
        Shown(SECURITY, "test_a_token_in_the_url_counts_for_nothing"),
    ),
    Row(
        7009,
        "2",
        "revocation of refresh tokens is supported",
        Shown(TOKENS, "test_revoking_a_refresh_token_ends_its_family"),
    ),
    Row(
        7009,
        "2",
        "revocation of access tokens is supported",
        Shown(TOKENS, "test_revoking_an_access_token_ends_it_alone"),
    ),
    Row(
        7009,
        "2",
        "the URL is as that of the authorization endpoint has to be",
        Shown(RFC, "test_no_endpoint_has_a_query_or_a_fragment"),
    ),
    Row(7009, "2", "TLS, and no other URL is published", TLS),
    Row(7009, "2.1", "token is required", Shown(TOKENS, "test_a_revocation_needs_its_token")),
    Row(7009, "2.1", "the hint may be wrong", Shown(TOKENS, "test_a_hint_does_not_matter")),
    Row(
        7009,
        "2.1",
        "client credentials are verified first",
        Shown(TOKENS, "test_a_confidential_client_needs_its_secret_to_revoke"),
    ),
    Row(
        7009,
        "2.1",
        "a token that was not issued to the client that asks stays",
        Shown(TOKENS, "test_a_token_of_another_client_is_left_as_it_is"),
    ),
    Row(
        7009,
        "2.1",
        "revocation is immediate",
        Shown(TOKENS, "test_revoking_an_access_token_ends_it_alone"),
    ),
    Row(
        7009,
        "2.1",
        "access tokens of the grant end with the refresh token",
        Shown(TOKENS, "test_revoking_a_refresh_token_ends_its_family"),
    ),
    Row(
        7009,
        "2.2",
        "a token that was revoked is 200",
        Shown(TOKENS, "test_a_token_may_be_revoked_twice"),
    ),
    Row(7009, "2.2", "an invalid token is 200", Shown(TOKENS, "test_an_unknown_token_is_no_error")),
    Row(
        7009,
        "2.2.1",
        "errors are those of RFC 6749 section 5.2",
        Shown(TOKENS, "test_a_revocation_needs_its_client"),
    ),
    Row(7009, "2.3", "JSONP", NotShown("optional, and CORS has taken its place")),
    Row(
        7009,
        "5",
        "the endpoint is protected against floods: bodies have a limit",
        Shown(TOKENS, "test_a_body_that_is_too_large_is_refused_in_the_form_of_rfc_6749"),
    ),
    Row(
        7009,
        "5",
        "the endpoint is protected against floods: wrong secrets have a limit",
        Shown(RFC, "test_guesses_at_a_secret_are_limited_wherever_one_is_taken"),
    ),
    Row(7009, "5", "a wrong hint costs nothing", Shown(TOKENS, "test_a_hint_does_not_matter")),
    Row(
        7636,
        "4.1",
        "a verifier has 43 to 128 unreserved characters",
        Shown(AUTHORIZE, "test_the_challenge_is_bound_to_the_code"),
    ),
    Row(
        7636,
        "4.2",
        "the transformation S256 is supported",
        Shown(AUTHORIZE, "test_a_user_signs_in_through_a_client"),
    ),
    Row(
        7636,
        "4.3",
        "code_challenge is required",
        Shown(AUTHORIZE, "test_the_client_hears_what_is_wrong_after_the_login"),
    ),
    Row(
        7636,
        "4.4",
        "the challenge is bound to the code",
        Shown(AUTHORIZE, "test_the_challenge_is_bound_to_the_code"),
    ),
    Row(
        7636,
        "4.4",
        "the challenge is not in the code in a way that others can read",
        Shown(SECRET, "test_a_secret_has_256_random_bits"),
    ),
    Row(
        7636,
        "4.4.1",
        "a missing challenge is invalid_request",
        Shown(AUTHORIZE, "test_the_client_hears_what_is_wrong_after_the_login"),
    ),
    Row(
        7636,
        "4.4.1",
        "a transformation that is not supported is invalid_request",
        Shown(AUTHORIZE, "test_the_client_hears_what_is_wrong_after_the_login"),
    ),
    Row(
        7636,
        "4.4.1",
        "the description says which of the two it is",
        Shown(RFC, "test_a_client_is_told_what_is_wrong_in_certain_characters"),
    ),
    Row(
        7636,
        "4.5",
        "code_verifier is required",
        Shown(AUTHORIZE, "test_the_challenge_is_bound_to_the_code"),
    ),
    Row(
        7636,
        "4.5",
        "the verifier is held against the method of the code",
        Shown(AUTHORIZE, "test_the_challenge_is_bound_to_the_code"),
    ),
    Row(
        7636,
        "4.6",
        "a verifier that fits gives tokens",
        Shown(AUTHORIZE, "test_a_user_signs_in_through_a_client"),
    ),
    Row(
        7636,
        "4.6",
        "a verifier that does not fit is invalid_grant",
        Shown(AUTHORIZE, "test_the_challenge_is_bound_to_the_code"),
    ),
    Row(
        7636,
        "7.2",
        "plain is not used, and nobody falls back to it",
        Shown(AUTHORIZE, "test_the_client_hears_what_is_wrong_after_the_login"),
    ),
    Row(7636, "7.5", "TLS", TLS),
    Row(7662, "2", "TLS", TLS),
    Row(
        7662, "2.1", "POST is supported", Shown(INTROSPECTION, "test_an_access_token_is_described")
    ),
    Row(7662, "2.1", "token is required", Shown(INTROSPECTION, "test_the_token_is_needed")),
    Row(
        7662,
        "2.1",
        "the hint may be wrong",
        Shown(INTROSPECTION, "test_a_refresh_token_is_described_without_a_type"),
    ),
    Row(
        7662,
        "2.1",
        "the endpoint requires authorization",
        Shown(INTROSPECTION, "test_nobody_learns_anything_without_a_secret"),
    ),
    Row(
        7662,
        "2.2",
        "active is required; a live token is active",
        Shown(INTROSPECTION, "test_an_access_token_is_described"),
    ),
    Row(
        7662,
        "2.2",
        "an unknown token is inactive",
        Shown(INTROSPECTION, "test_an_unknown_token_is_exactly_inactive"),
    ),
    Row(
        7662,
        "2.2",
        "an inactive token is told no more about",
        Shown(INTROSPECTION, "test_a_token_that_ended_is_exactly_inactive"),
    ),
    Row(
        7662,
        "2.2",
        "whoever may not know gets the same answer",
        Shown(INTROSPECTION, "test_anothers_token_is_exactly_inactive"),
    ),
    Row(7662, "2.2", "members of our own are registered", NotShown("there are none")),
    Row(
        7662,
        "2.3",
        "wrong credentials are answered as in RFC 6749 section 5.2",
        Shown(INTROSPECTION, "test_nobody_learns_anything_without_a_secret"),
    ),
    Row(
        7662,
        "2.3",
        "an unknown token is no error",
        Shown(INTROSPECTION, "test_an_unknown_token_is_exactly_inactive"),
    ),
    Row(
        7662,
        "4",
        "expiry, revocation and more are all checked",
        Shown(INTROSPECTION, "test_a_token_that_ended_is_exactly_inactive"),
    ),
    Row(
        7662,
        "4",
        "whoever asks is authenticated",
        Shown(INTROSPECTION, "test_a_public_client_by_its_id_alone_learns_nothing"),
    ),
    Row(
        7662,
        "4",
        "whoever asks is authorised for this token",
        Shown(INTROSPECTION, "test_anothers_token_is_exactly_inactive"),
    ),
    Row(
        7662, "4", "the token is not sent by GET", Shown(INTROSPECTION, "test_only_post_is_allowed")
    ),
    Row(7662, "4", "signatures, and an audience, are checked", OPAQUE),
    Row(
        7662,
        "5",
        "what is private is told to nobody but the client of the token",
        Shown(INTROSPECTION, "test_anothers_token_is_exactly_inactive"),
    ),
    Row(
        8252,
        "6",
        "PKCE is supported, and used by public native clients",
        Shown(AUTHORIZE, "test_a_user_signs_in_through_a_client"),
    ),
    Row(
        8252,
        "7",
        "all three kinds of redirect URI are offered",
        Shown(CLIENTS, "test_a_safe_redirect_uri_is_taken"),
    ),
    Row(
        8252,
        "7.1",
        "private-use schemes are supported, and have a dot",
        Shown(CLIENTS, "test_a_safe_redirect_uri_is_taken"),
    ),
    Row(
        8252,
        "7.2",
        "claimed https URIs are supported",
        Shown(CLIENTS, "test_a_safe_redirect_uri_is_taken"),
    ),
    Row(
        8252,
        "7.3",
        "any port of the loopback is allowed at the request",
        Shown(AUTHORIZE, "test_an_app_on_the_loopback_may_use_any_port"),
    ),
    Row(
        8252,
        "7.3",
        "IPv4 and IPv6 are both supported",
        Shown(REDIRECT_URIS, "test_a_request_uses_what_is_registered_on_the_loopback_at_any_port"),
    ),
    Row(
        8252,
        "8.1",
        "requests of public native clients without PKCE are refused",
        Shown(AUTHORIZE, "test_the_client_hears_what_is_wrong_after_the_login"),
    ),
    Row(
        8252,
        "8.3",
        "localhost is not recommended, the addresses of the loopback are",
        NotShown(
            "a choice of the client's; RFC 9700 section 4.1.3 has any port of localhost allowed"
        ),
    ),
    Row(
        8252,
        "8.4",
        "native apps are public clients, and the type is recorded",
        Shown(CLIENTS, "test_a_public_client_has_no_secret"),
    ),
    Row(
        8252,
        "8.4",
        "redirect URIs are registered whole, and matched to the letter but for the port",
        Shown(REDIRECT_URIS, "test_nothing_else_will_do"),
    ),
    Row(
        8252,
        "8.4",
        "a private-use scheme without a dot is refused",
        Shown(CLIENTS, "test_an_unsafe_redirect_uri_is_refused"),
    ),
    Row(
        8252,
        "8.5",
        "a public client need not have a secret",
        Shown(TOKENS, "test_a_public_client_without_a_secret_has_no_right_one"),
    ),
    Row(
        8252,
        "8.6",
        "no consent is skipped where the identity is not assured",
        Shown(AUTHORIZE, "test_an_app_that_anyone_can_pose_as_is_asked_about_each_time"),
    ),
    Row(
        8252,
        "8.10",
        "several issuers have several redirect URIs",
        NotShown("RFC 9207 is in place instead"),
    ),
    Row(
        8414,
        "2",
        "issuer, endpoints and response types are there",
        Shown(METADATA, "test_the_endpoints_do_what_the_metadata_says"),
    ),
    Row(
        8414,
        "2",
        "scopes_supported is recommended",
        Shown(METADATA, "test_the_authorization_server_describes_itself"),
    ),
    Row(
        8414,
        "2",
        "every endpoint is there and answers",
        Shown(METADATA, "test_every_url_is_the_issuers_and_answers"),
    ),
    Row(
        8414,
        "2",
        "the issuer is an origin without query and fragment",
        Shown(SETTINGS, "test_a_wrong_setting_is_named_in_one_line"),
    ),
    Row(
        8414,
        "2",
        "the issuer is https",
        Shown(SETTINGS, "test_settings_that_do_not_go_together_are_refused"),
    ),
    Row(8414, "2", "keys and algorithms", NO_KEYS),
    Row(8414, "2.1", "signed metadata", SIGNED),
    Row(
        8414,
        "3",
        "the document is at the well-known path",
        Shown(METADATA, "test_the_authorization_server_describes_itself"),
    ),
    Row(8414, "3.1", "it is read by GET", Shown(METADATA, "test_the_metadata_can_only_be_read")),
    Row(
        8414,
        "3.2",
        "it is 200 application/json",
        Shown(METADATA, "test_the_authorization_server_describes_itself"),
    ),
    Row(
        8414,
        "3.2",
        "members without elements are left out",
        Shown(METADATA, "test_no_member_is_empty"),
    ),
    Row(
        8414,
        "3.3",
        "the issuer is that of the request URL",
        Shown(METADATA, "test_the_issuer_is_a_setting_and_never_the_host_header"),
    ),
    Row(8414, "6.1", "TLS", TLS),
    Row(
        9207,
        "2",
        "an authorization response has iss",
        Shown(AUTHORIZE, "test_a_user_signs_in_through_a_client"),
    ),
    Row(
        9207,
        "2",
        "an error response has iss",
        Shown(AUTHORIZE, "test_the_client_hears_what_is_wrong_after_the_login"),
    ),
    Row(
        9207,
        "2",
        "iss is https, without query and fragment",
        Shown(SETTINGS, "test_settings_that_do_not_go_together_are_refused"),
    ),
    Row(
        9207,
        "2.3",
        "clients can learn the issuer",
        Shown(METADATA, "test_the_authorization_server_describes_itself"),
    ),
    Row(
        9207,
        "2.3",
        "iss is the issuer of the metadata",
        Shown(METADATA, "test_the_endpoints_do_what_the_metadata_says"),
    ),
    Row(
        9207,
        "2.3",
        "the metadata tells of iss",
        Shown(METADATA, "test_the_authorization_server_describes_itself"),
    ),
    Row(
        9700,
        "2.1",
        "redirect URIs are compared to the letter but for the loopback's port",
        Shown(REDIRECT_URIS, "test_nothing_else_will_do"),
    ),
    Row(9700, "2.1", "no open redirector", Shown(LOGIN, "test_the_login_leads_nowhere_else")),
    Row(
        9700,
        "2.1",
        "a redirect never takes a password along",
        Shown(RFC, "test_redirects_turn_a_form_into_a_get"),
    ),
    Row(
        9700,
        "2.1.1",
        "PKCE is supported",
        Shown(AUTHORIZE, "test_a_user_signs_in_through_a_client"),
    ),
    Row(
        9700,
        "2.1.1",
        "PKCE is required, of confidential clients too",
        Shown(AUTHORIZE, "test_the_client_hears_what_is_wrong_after_the_login"),
    ),
    Row(
        9700,
        "2.1.1",
        "a challenge demands its verifier",
        Shown(AUTHORIZE, "test_the_challenge_is_bound_to_the_code"),
    ),
    Row(
        9700,
        "2.1.1",
        "a verifier is only taken where there was a challenge",
        Shown(AUTHORIZE, "test_the_client_hears_what_is_wrong_after_the_login"),
    ),
    Row(
        9700,
        "2.1.1",
        "the metadata tells of PKCE",
        Shown(METADATA, "test_the_authorization_server_describes_itself"),
    ),
    Row(
        9700,
        "2.1.2",
        "no response type gives an access token",
        Shown(AUTHORIZE, "test_the_client_hears_what_is_wrong_after_the_login"),
    ),
    Row(9700, "2.2.1", "sender-constrained access tokens", SENDER),
    Row(
        9700,
        "2.2.2",
        "refresh tokens of public clients rotate",
        Shown(TOKENS, "test_a_used_refresh_token_that_comes_back_ends_its_family"),
    ),
    Row(
        9700,
        "2.3",
        "access tokens have the least scope",
        Shown(AUTHORIZE, "test_what_stays_ticked_is_granted"),
    ),
    Row(9700, "2.3", "access tokens are restricted to one resource server", ONE_RESOURCE),
    Row(
        9700,
        "2.3",
        "access tokens are restricted to certain actions",
        Shown(SECURITY, "test_a_token_without_the_scope_is_told_which_it_lacks"),
    ),
    Row(
        9700,
        "2.4",
        "the password grant is not used",
        NotShown("kept on purpose, for clients alone that an admin gave it"),
    ),
    Row(
        9700,
        "2.5",
        "clients that can keep a secret authenticate",
        Shown(RFC, "test_a_confidential_client_needs_its_secret_for_code_and_refresh"),
    ),
    Row(9700, "2.5", "asymmetric client authentication", NO_KEYS),
    Row(
        9700,
        "2.6",
        "the metadata is published",
        Shown(METADATA, "test_the_authorization_server_describes_itself"),
    ),
    Row(
        9700,
        "2.6",
        "a client does not choose its client_id",
        Shown(CLIENTS, "test_what_the_schema_refuses_is_400"),
    ),
    Row(9700, "2.6", "TLS from end to end", TLS),
    Row(
        9700,
        "2.6",
        "no redirect URI is http but on the loopback",
        Shown(CLIENTS, "test_an_unsafe_redirect_uri_is_refused"),
    ),
    Row(
        9700,
        "2.6",
        "the authorization endpoint has no CORS",
        Shown(RFC, "test_no_origin_may_use_the_pages"),
    ),
    Row(
        9700,
        "4.1.3",
        "redirect URIs are equal as strings",
        Shown(REDIRECT_URIS, "test_nothing_else_will_do"),
    ),
    Row(
        9700,
        "4.1.3",
        "any port of the loopback is allowed, of localhost too",
        Shown(REDIRECT_URIS, "test_a_request_uses_what_is_registered_on_the_loopback_at_any_port"),
    ),
    Row(
        9700,
        "4.2.4",
        "the pages have no resources of others and no links elsewhere",
        Shown(RFC, "test_a_page_cannot_be_framed_and_leads_nowhere_else"),
    ),
    Row(
        9700,
        "4.2.4",
        "no Referer leaves the pages",
        Shown(RFC, "test_a_page_cannot_be_framed_and_leads_nowhere_else"),
    ),
    Row(
        9700,
        "4.2.4",
        "codes are ended after their first use",
        Shown(CONSENT, "test_a_code_is_exchanged_once_and_then_ends_its_family"),
    ),
    Row(
        9700,
        "4.2.4",
        "a second use of a code ends its tokens",
        Shown(AUTHORIZE, "test_a_code_that_comes_back_ends_what_it_had_issued"),
    ),
    Row(
        9700,
        "4.3.2",
        "access tokens are not in URLs",
        Shown(SECURITY, "test_a_token_in_the_url_counts_for_nothing"),
    ),
    Row(
        9700,
        "4.5.3",
        "a code is bound to its transaction",
        Shown(AUTHORIZE, "test_the_challenge_is_bound_to_the_code"),
    ),
    Row(
        9700,
        "4.7.1",
        "the metadata tells of PKCE",
        Shown(METADATA, "test_the_authorization_server_describes_itself"),
    ),
    Row(
        9700,
        "4.8.2",
        "a code without a challenge could not be exchanged with a verifier: there is none",
        Shown(AUTHORIZE, "test_the_client_hears_what_is_wrong_after_the_login"),
    ),
    Row(9700, "4.9.3", "sender-constrained and audience-restricted access tokens", SENDER),
    Row(
        9700,
        "4.9.3",
        "tokens are stored as hashes",
        Shown(TOKENS, "test_tokens_and_secrets_are_stored_as_hashes_only"),
    ),
    Row(9700, "4.10", "access tokens have a sender and an audience", SENDER),
    Row(
        9700,
        "4.11.2",
        "nobody is redirected where client or redirect URI are wrong",
        Shown(AUTHORIZE, "test_an_unknown_client_or_place_is_never_redirected_to"),
    ),
    Row(
        9700,
        "4.11.2",
        "nobody is redirected before the login",
        Shown(AUTHORIZE, "test_the_client_hears_what_is_wrong_after_the_login"),
    ),
    Row(
        9700,
        "4.11.2",
        "only a redirect URI that is trusted is redirected to",
        NotShown("trusted is what a user, known to the server, has registered"),
    ),
    Row(
        9700,
        "4.12",
        "a redirect is 303, never 307",
        Shown(RFC, "test_redirects_turn_a_form_into_a_get"),
    ),
    Row(9700, "4.13", "a proxy cleans the headers that matter", PROXY),
    Row(
        9700,
        "4.13",
        "the host that a client names decides nothing",
        Shown(BOUNDARY, "test_the_host_that_a_client_names_shows_up_nowhere"),
    ),
    Row(
        9700,
        "4.13",
        "the address that a client names decides nothing",
        Shown(RFC, "test_what_a_client_says_of_its_address_helps_no_guess"),
    ),
    Row(
        9700,
        "4.14.2",
        "it is decided for each client whether it gets refresh tokens",
        Shown(TOKENS, "test_a_client_without_the_refresh_grant_gets_no_refresh_token"),
    ),
    Row(
        9700,
        "4.14.2",
        "refresh tokens are bound to the scope that was allowed",
        Shown(TOKENS, "test_a_refresh_never_widens_the_scope_and_a_refused_one_costs_nothing"),
    ),
    Row(
        9700,
        "4.14.2",
        "a replayed refresh token ends its family, at once too",
        Shown(RACES, "test_a_refresh_token_works_once_and_then_ends_its_family"),
    ),
    Row(9700, "4.14.2", "the integrity of what a refresh token says", OPAQUE),
    Row(
        9700,
        "4.14.2",
        "refresh tokens end with the password",
        Shown(USERS, "test_a_password_changed_by_an_admin_ends_all_tokens_of_the_user"),
    ),
    Row(
        9700,
        "4.14.2",
        "a refresh token ends after some time without use",
        Shown(TOKENS, "test_an_idle_refresh_token_is_refused_without_harm_to_the_family"),
    ),
    Row(
        9700,
        "4.15.1",
        "a client cannot choose an identifier that poses as a user's",
        Shown(CLIENTS, "test_what_the_schema_refuses_is_400"),
    ),
    Row(
        9700,
        "4.15.1",
        "tokens of clients and of users can be told apart",
        Shown(INTROSPECTION, "test_a_service_token_is_its_clients"),
    ),
    Row(
        9700,
        "4.16",
        "the pages cannot be framed, by their policy and by X-Frame-Options",
        Shown(RFC, "test_a_page_cannot_be_framed_and_leads_nowhere_else"),
    ),
    Row(9700, "4.16", "origins that may frame the pages can be set", NotShown("none may")),
    Row(
        9700,
        "4.17",
        "messages between windows",
        NotShown("no response mode but the query is offered"),
    ),
    Row(
        9728,
        "1.2",
        "the resource identifier is https, without fragment and query",
        Shown(SETTINGS, "test_settings_that_do_not_go_together_are_refused"),
    ),
    Row(
        9728,
        "2",
        "the resource identifier is there",
        Shown(METADATA, "test_the_resource_describes_itself"),
    ),
    Row(
        9728,
        "2",
        "scopes and a name are there",
        Shown(METADATA, "test_the_resource_describes_itself"),
    ),
    Row(9728, "2", "keys and algorithms", NO_KEYS),
    Row(
        9728,
        "2.1",
        "a text without a language tag is there",
        Shown(METADATA, "test_the_resource_describes_itself"),
    ),
    Row(9728, "2.2", "signed metadata", SIGNED),
    Row(
        9728,
        "3",
        "the document is at the well-known path",
        Shown(METADATA, "test_the_resource_describes_itself"),
    ),
    Row(9728, "3.1", "it is read by GET", Shown(METADATA, "test_the_metadata_can_only_be_read")),
    Row(
        9728,
        "3.1",
        "the path of a resource follows the well-known path, and keeps the slash at its end",
        Shown(METADATA, "test_the_metadata_of_the_api_names_the_url_that_its_own_was_made_of"),
    ),
    Row(
        9728,
        "3.2",
        "it is 200 application/json",
        Shown(METADATA, "test_the_resource_describes_itself"),
    ),
    Row(
        9728,
        "3.2",
        "members without values are left out",
        Shown(METADATA, "test_no_member_is_empty"),
    ),
    Row(
        9728,
        "3.3",
        "the resource is that of the request URL",
        Shown(METADATA, "test_the_issuer_is_a_setting_and_never_the_host_header"),
    ),
    Row(
        9728,
        "5.1",
        "WWW-Authenticate leads to the metadata",
        Shown(METADATA, "test_the_challenge_leads_to_the_metadata"),
    ),
    Row(
        9728,
        "5.1",
        "so does every other challenge",
        Shown(METADATA, "test_each_challenge_leads_to_the_metadata"),
    ),
    Row(9728, "7.1", "TLS", TLS),
    Row(9728, "7.4", "audience-restricted access tokens", ONE_RESOURCE),
)
