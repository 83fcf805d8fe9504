// oidc-provider as an OAuth 2.0 server, with its memory adapter, or with one for PostgreSQL.
//
// `node server.js memory` keeps all in the process: it shows what the protocol costs without a
// database. The memory adapter is the library's own, with room for a million entries rather than a
// thousand, so that no prepared code is dropped before it is used. Its clients stand in the
// configuration, its cookies are not signed, and tokens are kept as they are, not as hashes.

import http from "node:http";

import { Provider } from "oidc-provider";
import MemoryAdapter from "oidc-provider/lib/adapters/memory_adapter.js";
import LRU from "oidc-provider/lib/helpers/lru.js";
import pg from "pg";

import { createAdapter, createTables, findAccount } from "./adapter.js";

const known = JSON.parse(process.env.BENCH_AUTHORIZATION);
const { HOST, PORT, DATABASE_URL } = process.env;
const MOST = 1_000_000;

const storage = await (process.argv[2] === "postgresql" ? inPostgres() : inMemory());

async function inPostgres() {
  const pool = new pg.Pool({ connectionString: DATABASE_URL, max: 16 });
  await createTables(pool, known.users);
  return { adapter: createAdapter(pool), account: (id) => findAccount(pool, id) };
}

async function inMemory() {
  const store = new LRU({ maxSize: MOST });
  const accounts = new Map(known.users.map((username) => [username, { username }]));
  return {
    adapter: (model) => new MemoryAdapter(model, store),
    account: async (id) => accounts.get(id),
  };
}

const secret = { client_secret: known.secret, token_endpoint_auth_method: "client_secret_basic" };
const provider = new Provider(`http://${HOST}:${PORT}`, {
  adapter: storage.adapter,
  clients: [
    {
      ...secret,
      client_id: known.web,
      client_name: known.web,
      scope: known.scopes.join(" "),
      redirect_uris: [known.redirect_uri],
      response_types: ["code"],
      grant_types: ["authorization_code", "refresh_token"],
    },
    {
      ...secret,
      client_id: known.service,
      scope: known.scopes.join(" "),
      redirect_uris: [],
      response_types: [],
      grant_types: ["client_credentials"],
    },
  ],
  scopes: known.scopes,
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
    introspection: { enabled: true },
    revocation: { enabled: true },
    rpInitiatedLogout: { enabled: false },
    userinfo: { enabled: false },
  },
  pkce: { required: () => true },
  rotateRefreshToken: true,
  issueRefreshToken: async (_ctx, client) => client.grantTypeAllowed("refresh_token"),
  // Tokens outlive the browser's session, as they do elsewhere; no request looks for it.
  expiresWithSession: async () => false,
  async findAccount(_ctx, sub) {
    const account = await storage.account(sub);
    return account && { accountId: sub, claims: async () => ({ sub, ...account }) };
  },
  ttl: {
    AccessToken: known.access_seconds,
    AuthorizationCode: known.code_seconds,
    ClientCredentials: known.access_seconds,
    Grant: known.grant_seconds,
    Interaction: 3600,
    RefreshToken: known.refresh_seconds,
    Session: known.session_seconds,
  },
  routes: {
    authorization: known.authorize_path,
    introspection: known.introspect_path,
    revocation: known.revoke_path,
    token: known.token_path,
  },
});

const escape = (text) => text.replace(/[&<>"']/g, (each) => `&#${each.charCodeAt(0)};`);

function loginPage(uid, client) {
  return `<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>Sign in</title></head>
<body>
  <h1>Sign in</h1>
  <p>${escape(client.clientName)} asks for access to your account.</p>
  <form method="post" action="/interaction/${uid}/login" autocomplete="off">
    <label>Username <input name="username" autocomplete="username" required></label>
    <label>Password
      <input name="password" type="password" autocomplete="current-password" required></label>
    <button>Sign in</button>
  </form>
</body>
</html>`;
}

async function showLogin(request, response) {
  const { uid, params } = await provider.interactionDetails(request, response);
  const client = await provider.Client.find(params.client_id);
  response.writeHead(200, { "Content-Type": "text/html; charset=utf-8" });
  response.end(loginPage(uid, client));
}

async function newGrant(accountId) {
  const grant = new provider.Grant({ accountId, clientId: known.web });
  grant.addOIDCScope(known.scopes.join(" "));
  return grant.save();
}

// What the benchmark takes for granted: made as the provider itself makes it.
const makers = {
  async access(accountId, client, ends) {
    const grantId = await newGrant(accountId);
    const token = { accountId, client, grantId, scope: known.scopes.join(" "), ...ends };
    return new provider.AccessToken({ ...token, gty: "authorization_code" }).save();
  },
  async code(accountId, client) {
    const code = new provider.AuthorizationCode({
      accountId,
      client,
      grantId: await newGrant(accountId),
      redirectUri: known.redirect_uri,
      scope: known.scopes.join(" "),
      codeChallenge: known.challenge,
      codeChallengeMethod: "S256",
      authTime: Math.floor(Date.now() / 1000),
    });
    return code.save();
  },
  async expired(accountId, client) {
    return makers.access(accountId, client, { exp: Math.floor(Date.now() / 1000) - 10 });
  },
  async refresh(accountId, client) {
    const grantId = await newGrant(accountId);
    const token = { accountId, client, grantId, scope: known.scopes.join(" ") };
    return new provider.RefreshToken({ ...token, gty: "authorization_code" }).save();
  },
  async session(accountId, client) {
    const session = new provider.Session({});
    session.loginAccount({ accountId });
    session.ensureClientContainer(client.clientId);
    session.grantIdFor(client.clientId, await newGrant(accountId));
    await session.save(known.session_seconds);
    return `_session=${session.id}`;
  },
};

async function prepare(url, response) {
  const make = makers[url.searchParams.get("what")];
  const count = Number(url.searchParams.get("count"));
  const client = await provider.Client.find(known.web);
  const made = [];
  for (let number = 0; number < count; number += 1) {
    made.push(await make(known.users[number % known.users.length], client));
  }
  response.writeHead(200, { "Content-Type": "application/json" });
  response.end(JSON.stringify(made));
}

const answer = provider.callback();

http
  .createServer(async (request, response) => {
    try {
      if (request.url.startsWith("/interaction/")) await showLogin(request, response);
      else if (request.url.startsWith("/prepare?")) {
        await prepare(new URL(request.url, provider.issuer), response);
      } else await answer(request, response);
    } catch (error) {
      console.error(error);
      response.writeHead(error.statusCode ?? 500).end();
    }
  })
  .listen(Number(PORT), HOST);
