// The adapter that keeps oidc-provider's models in PostgreSQL, written after the project's examples
// of adapters: one table for all models, whose payload is JSON. Each query is a prepared statement.

const TABLES = `
  CREATE TABLE IF NOT EXISTS oidc_payloads (
    id text NOT NULL,
    type text NOT NULL,
    payload jsonb NOT NULL,
    grant_id text,
    uid text,
    expires_at timestamptz,
    consumed_at timestamptz,
    PRIMARY KEY (id, type)
  );
  CREATE INDEX IF NOT EXISTS oidc_payloads_grant_id ON oidc_payloads (grant_id);
  CREATE INDEX IF NOT EXISTS oidc_payloads_uid ON oidc_payloads (uid);
  CREATE INDEX IF NOT EXISTS oidc_payloads_expires_at ON oidc_payloads (expires_at);
  CREATE TABLE IF NOT EXISTS accounts (id text PRIMARY KEY, username text NOT NULL UNIQUE);
`;
const UPSERT = `
  INSERT INTO oidc_payloads (id, type, payload, grant_id, uid, expires_at)
  VALUES ($1, $2, $3, $4, $5, $6)
  ON CONFLICT (id, type) DO UPDATE
  SET payload = $3, grant_id = $4, uid = $5, expires_at = $6
`;
const FIND = `
  SELECT payload, expires_at, consumed_at FROM oidc_payloads WHERE id = $1 AND type = $2
`;
const FIND_BY_UID = `
  SELECT payload, expires_at, consumed_at FROM oidc_payloads WHERE uid = $1 AND type = $2
`;
const CONSUME = "UPDATE oidc_payloads SET consumed_at = now() WHERE id = $1 AND type = $2";
const DESTROY = "DELETE FROM oidc_payloads WHERE id = $1 AND type = $2";
const REVOKE = "DELETE FROM oidc_payloads WHERE grant_id = $1 AND type = $2";

export async function createTables(pool, users) {
  await pool.query(TABLES);
  await pool.query(
    "INSERT INTO accounts SELECT id, id FROM unnest($1::text[]) AS id ON CONFLICT DO NOTHING",
    [users],
  );
}

export async function findAccount(pool, id) {
  const text = "SELECT username FROM accounts WHERE id = $1";
  const { rows } = await pool.query({ name: "account", text, values: [id] });
  return rows[0];
}

export function createAdapter(pool) {
  return class PostgresAdapter {
    constructor(type) {
      this.type = type;
    }

    query(name, text, values) {
      return pool.query({ name, text, values: [...values, this.type] });
    }

    async upsert(id, payload, expiresIn) {
      const ends = expiresIn ? new Date(Date.now() + expiresIn * 1000) : null;
      await pool.query({
        name: "upsert",
        text: UPSERT,
        values: [id, this.type, payload, payload.grantId, payload.uid, ends],
      });
    }

    async find(id) {
      return this.read(await this.query("find", FIND, [id]));
    }

    async findByUid(uid) {
      return this.read(await this.query("find_by_uid", FIND_BY_UID, [uid]));
    }

    read({ rows: [row] }) {
      if (!row || (row.expires_at && row.expires_at <= new Date())) return undefined;
      return row.consumed_at ? { ...row.payload, consumed: true } : row.payload;
    }

    async consume(id) {
      await this.query("consume", CONSUME, [id]);
    }

    async destroy(id) {
      await this.query("destroy", DESTROY, [id]);
    }

    async revokeByGrantId(grantId) {
      await this.query("revoke", REVOKE, [grantId]);
    }
  };
}
