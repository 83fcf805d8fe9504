// Take every step of a client against a server. The arguments are the issuer, the client's id and
// secret, and its redirect URI. The address for the user's browser goes to standard output, the
// one to which it came back is read from standard input; what was found out is the last line.
import assert from "node:assert/strict";
import { createInterface } from "node:readline/promises";
import * as oauth from "oauth4webapi";

const [issuer, clientId, secret, redirectUri] = process.argv.slice(2);
const insecure = { [oauth.allowInsecureRequests]: true };
const client = { client_id: clientId };
const byBasic = oauth.ClientSecretBasic(secret);
const inBody = oauth.ClientSecretPost(secret);

const issuerUrl = new URL(issuer);
const server = await oauth.processDiscoveryResponse(
  issuerUrl,
  await oauth.discoveryRequest(issuerUrl, { algorithm: "oauth2", ...insecure }),
);
assert.equal(server.authorization_response_iss_parameter_supported, true);
assert.ok(server.code_challenge_methods_supported.includes("S256"));

for (const path of ["/", "/api/v1", "/api/v1/"]) {
  const resourceUrl = new URL(path, issuer);
  const resource = await oauth.processResourceDiscoveryResponse(
    resourceUrl,
    await oauth.resourceDiscoveryRequest(resourceUrl, insecure),
  );
  assert.deepEqual(resource.authorization_servers, [server.issuer]);
}

const verifier = oauth.generateRandomCodeVerifier();
const state = oauth.generateRandomState();
const address = new URL(server.authorization_endpoint);
address.search = new URLSearchParams({
  response_type: "code",
  client_id: clientId,
  redirect_uri: redirectUri,
  scope: "users:read teams:read",
  state,
  code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
  code_challenge_method: "S256",
});
console.log(address.href);
const input = createInterface({ input: process.stdin });
const callback = new URL(await input.question(""));
input.close();

const parameters = oauth.validateAuthResponse(server, client, callback, state);
const elsewhere = new URL(callback);
elsewhere.searchParams.set("iss", "https://evil.example");
assert.throws(() => oauth.validateAuthResponse(server, client, elsewhere, state), /"iss"/);

const issued = await oauth.processAuthorizationCodeResponse(
  server,
  client,
  await oauth.authorizationCodeGrantRequest(
    server, client, byBasic, parameters, redirectUri, verifier, insecure,
  ),
);
assert.equal(issued.token_type, "bearer");

const me = await oauth.protectedResourceRequest(
  issued.access_token, "GET", new URL("/api/v1/users/me", issuer), undefined, undefined, insecure,
);
assert.equal(me.status, 200);
const { username } = await me.json();

const refreshed = await oauth.processRefreshTokenResponse(
  server,
  client,
  await oauth.refreshTokenGrantRequest(server, client, inBody, issued.refresh_token, insecure),
);
assert.notEqual(refreshed.refresh_token, issued.refresh_token);

const introspect = async (token) => oauth.processIntrospectionResponse(
  server, client, await oauth.introspectionRequest(server, client, byBasic, token, insecure),
);
const active = await introspect(refreshed.access_token);
await oauth.processRevocationResponse(
  await oauth.revocationRequest(server, client, byBasic, refreshed.refresh_token, insecure),
);
assert.deepEqual(await introspect(refreshed.access_token), { active: false });

const service = await oauth.processClientCredentialsResponse(
  server,
  client,
  await oauth.clientCredentialsGrantRequest(
    server, client, byBasic, new URLSearchParams({ scope: "teams:read" }), insecure,
  ),
);
await assert.rejects(
  oauth.protectedResourceRequest(
    "wrong", "GET", new URL("/api/v1/users/me", issuer), undefined, undefined, insecure,
  ),
  (error) => error instanceof oauth.WWWAuthenticateChallengeError
    && error.cause[0].parameters.error === "invalid_token",
);

console.log(JSON.stringify({ username, issued, active, service }));
