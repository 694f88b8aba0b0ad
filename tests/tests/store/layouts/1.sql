-- Countersign's database. Times are milliseconds since 1970-01-01T00:00:00Z
-- (`datetime(created_at / 1000, 'unixepoch')` shows one); enumerations are the contract's names.

-- The directory: what an operator may want to read.

CREATE TABLE applications (
    id         TEXT NOT NULL PRIMARY KEY,           -- app_...
    name       TEXT NOT NULL UNIQUE,
    policy     TEXT NOT NULL,                       -- JSON
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE api_keys (
    id             TEXT NOT NULL PRIMARY KEY,       -- what stands between csk_ and the secret
    application_id TEXT NOT NULL REFERENCES applications (id),
    tag            BLOB NOT NULL CHECK (length(tag) = 32)   -- HMAC of the secret
) STRICT;

CREATE TABLE devices (
    sequence        INTEGER PRIMARY KEY,            -- in the order in which they came
    id              TEXT NOT NULL UNIQUE,           -- dev_...
    application_id  TEXT NOT NULL REFERENCES applications (id),
    user_id         TEXT NOT NULL,
    account_name    TEXT NOT NULL,
    name            TEXT NOT NULL,
    platform        TEXT NOT NULL,                  -- PLATFORM_...
    public_key      BLOB NOT NULL UNIQUE CHECK (length(public_key) = 32),  -- of revoked devices too
    source_sha256   BLOB NOT NULL CHECK (length(source_sha256) = 32),      -- of what brought the key
    created_at      INTEGER NOT NULL,
    bound_at        INTEGER,                        -- NULL: not confirmed yet
    binding         BLOB,                           -- the signed BindingStatement
    revoked_at      INTEGER,
    push_target     TEXT,                           -- JSON of the contract's PushTarget
    push_target_at  INTEGER,                        -- when the device last told one
    push_state      TEXT NOT NULL,                  -- PUSH_STATE_...
    app_version     TEXT NOT NULL,
    locale          TEXT NOT NULL,
    change_sequence INTEGER NOT NULL,               -- of the last signed change; 64 bits without sign
    change_sha256   BLOB,                           -- of its payload
    last_used_at    INTEGER,
    last_seen_at    INTEGER,                        -- to the hour
    CHECK ((bound_at IS NULL) = (binding IS NULL))
) STRICT;
CREATE INDEX devices_of_user ON devices (application_id, user_id);

CREATE TABLE enrollments (
    sequence       INTEGER PRIMARY KEY,             -- in the order in which they began
    id             TEXT NOT NULL UNIQUE,            -- enr_...
    application_id TEXT NOT NULL REFERENCES applications (id),
    user_id        TEXT NOT NULL,
    account_name   TEXT NOT NULL,
    token_tag      BLOB NOT NULL UNIQUE CHECK (length(token_tag) = 32),    -- HMAC of the token
    offer          BLOB NOT NULL,                   -- the signed OfferStatement
    state          TEXT NOT NULL,                   -- ENROLLMENT_STATE_...
    wrong_codes    INTEGER NOT NULL,
    created_at     INTEGER NOT NULL,
    expires_at     INTEGER NOT NULL,
    device_id      TEXT REFERENCES devices (id)     -- that took the link
) STRICT;
CREATE INDEX enrollments_of_device ON enrollments (device_id);
CREATE INDEX enrollments_of_user ON enrollments (application_id, user_id);
-- Ended ones pile up for a day; what looks for open ones must not walk them.
CREATE INDEX open_enrollments_of_user ON enrollments (application_id, user_id)
    WHERE state IN ('ENROLLMENT_STATE_PENDING', 'ENROLLMENT_STATE_CONFIRMING');

-- Revocations whose tombstone does not stand in the user record yet. Outlives the device's row.
CREATE TABLE tombstones_due (
    device_id  TEXT NOT NULL PRIMARY KEY,
    device_tag BLOB NOT NULL CHECK (length(device_tag) = 32),
    revoked_at INTEGER NOT NULL
) STRICT;

CREATE TABLE sealed_values (
    name   TEXT NOT NULL PRIMARY KEY,
    sealed BLOB NOT NULL                            -- under the master key
) STRICT;

CREATE TABLE server_keys (
    version    INTEGER NOT NULL PRIMARY KEY,
    sealed_key BLOB NOT NULL,                       -- under the master key
    statement  BLOB NOT NULL,                       -- the ServerKeyStatement that the root signed
    not_before INTEGER NOT NULL,
    not_after  INTEGER NOT NULL
) STRICT;

-- The short-lived: compact records that only the server reads.

-- The rising key keeps the rows that are in use on the same few pages, and shows the oldest without an
-- index on time.
CREATE TABLE challenges (
    sequence       INTEGER PRIMARY KEY,
    id             BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    attempt        BLOB UNIQUE CHECK (length(attempt) = 32),    -- the attempt that leads here
    readable_until INTEGER NOT NULL,
    record         BLOB NOT NULL
) STRICT;

CREATE TABLE users (
    tag        INTEGER NOT NULL PRIMARY KEY,        -- 64 bits without sign
    keep_until INTEGER NOT NULL,
    record     BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE deliveries (
    challenge INTEGER NOT NULL REFERENCES challenges (sequence) ON DELETE CASCADE,
    device_id BLOB NOT NULL CHECK (length(device_id) = 16),
    state     INTEGER NOT NULL,                     -- DeliveryState
    PRIMARY KEY (challenge, device_id)
) STRICT, WITHOUT ROWID;
