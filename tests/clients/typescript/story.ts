/** What a program does with the TypeScript client; each step prints one line of JSON. */

import { setTimeout } from "node:timers/promises";

import createClient from "openapi-fetch";

import type { components, paths } from "./roster.js";

type Schemas = components["schemas"];

const [url = "", secret = ""] = process.argv.slice(2);
const form = { headers: { "Content-Type": "application/x-www-form-urlencoded" } };
const patch = { headers: { "Content-Type": "application/json-patch+json" } };

function show(step: string, values: object): void {
  console.log(JSON.stringify({ step, ...values }));
}

/** Return what an answer holds; an error is one that the server tells. */
function expect<Data>(answer: { data?: Data; error?: unknown }): Data {
  if (answer.data === undefined) {
    throw new Error(JSON.stringify(answer.error));
  }
  return answer.data;
}

/** Return the error of an answer, which the definition describes. */
function refusal<Refusal>(answer: { error?: Refusal }): Refusal {
  if (answer.error === undefined) {
    throw new Error("An error was expected.");
  }
  return answer.error;
}

function signedIn(tokens: Schemas["TokenResponse"]) {
  const headers = { Authorization: `Bearer ${tokens.access_token}` };
  return createClient<paths>({ baseUrl: url, headers });
}

async function introspect(token: string): Promise<Schemas["Introspection"]> {
  const body = { token, client_id: "documentation", client_secret: secret };
  return expect(await anonymous.POST("/auth/oauth2/introspect", { ...form, body }));
}

const anonymous = createClient<paths>({ baseUrl: url });

const first = expect(
  await anonymous.POST("/auth/oauth2/token", {
    ...form,
    body: { grant_type: "password", client_id: "documentation", username: "root", password: "q" },
  }),
);
show("log in", { token_type: first.token_type });

await setTimeout((first.expires_in + 1) * 1000);
const ended = refusal(await signedIn(first).GET("/api/v1/users/me"));
show("use a token that has ended", { status: ended.status, title: ended.title });

const second = expect(
  await anonymous.POST("/auth/oauth2/token", {
    ...form,
    body: {
      grant_type: "refresh_token",
      client_id: "documentation",
      refresh_token: first.refresh_token ?? "",
    },
  }),
);
show("refresh", { is_new: second.access_token !== first.access_token });
const client = signedIn(second);

const me = expect(await client.GET("/api/v1/users/me"));
show("read oneself", { username: me.username, is_admin: me.is_admin });

const users: Schemas["BaseUser"][] = [];
let pages = 0;
let cursor: string | null = "";
while (cursor !== null) {
  const query: { limit: number; cursor: string } = { limit: 100, cursor };
  const answer = await client.GET("/api/v1/users", { params: { query } });
  users.push(...expect(answer));
  pages += 1;
  cursor = answer.response.headers.get("X-Next-Cursor");
}
const last = users.at(-1);
if (last === undefined) {
  throw new Error("There are no users.");
}
show("page through the users", { users: users.length, pages, last: last.username });

const creation = {
  params: { header: { "Idempotency-Key": crypto.randomUUID() } },
  body: { title: "Analysts" },
};
const team = expect(await client.POST("/api/v1/teams", creation));
show("create a team", { title: team.title, leader: team.members[0]?.user.username });
const again = expect(await client.POST("/api/v1/teams", creation));
show("send that again", { is_the_same: again.id === team.id });

const path = { team_id: team.id };
const member = { params: { path }, body: { user_id: last.id } };
const added = expect(await client.POST("/api/v1/teams/{team_id}/members", member));
show("add a member", { username: added.user.username, is_leader: added.is_leader });

const conflict = refusal(await client.POST("/api/v1/teams/{team_id}/members", member));
show("add it again", { status: conflict.status, title: conflict.title });

const changed = expect(
  await client.PATCH("/api/v1/users/{user_id}", {
    ...patch,
    params: { path: { user_id: me.id } },
    body: [
      { op: "test", path: "/current_password", value: "q" },
      { op: "replace", path: "/first_name", value: "Ada" },
    ],
  }),
);
show("change oneself", { first_name: changed.first_name });

const alive = await introspect(second.access_token);
show("introspect a live token", { active: alive.active, username: alive.username });
const dead = await introspect(first.access_token);
show("introspect a dead token", { active: dead.active });

const deleted = await client.DELETE("/api/v1/teams/{team_id}", { params: { path } });
show("delete the team", { status: deleted.response.status });

const gone = refusal(await client.GET("/api/v1/teams/{team_id}", { params: { path } }));
show("read what is gone", { status: gone.status, title: gone.title });
