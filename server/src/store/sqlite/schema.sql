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

-- Keys that devices had before, for receipts.
CREATE TABLE bindings (
    sequence    INTEGER PRIMARY KEY,                -- in the order in which they were replaced
    device_id   TEXT NOT NULL REFERENCES devices (id),
    public_key  BLOB NOT NULL UNIQUE CHECK (length(public_key) = 32),
    bound_at    INTEGER NOT NULL,
    binding     BLOB NOT NULL,                      -- the signed BindingStatement
    replaced_at INTEGER NOT NULL,
    replaced_by BLOB NOT NULL CHECK (length(replaced_by) = 32)  -- SHA-256 of what brought the next key
) STRICT;
CREATE INDEX bindings_of_device ON bindings (device_id);

CREATE TABLE enrollments (
    sequence       INTEGER PRIMARY KEY,             -- in the order in which they began
    id             TEXT NOT NULL UNIQUE,            -- enr_...
    application_id TEXT NOT NULL REFERENCES applications (id),
    user_id        TEXT NOT NULL,
    account_name   TEXT NOT NULL,
    type           TEXT NOT NULL,                   -- FACTOR_TYPE_DEVICE or FACTOR_TYPE_TOTP
    token_tag      BLOB UNIQUE CHECK (length(token_tag) = 32),             -- HMAC of a device's token
    offer          BLOB,                            -- the signed OfferStatement to a device
    authorized_by  TEXT,                            -- chl_... of the approval that it rests on
    by_allowance   INTEGER NOT NULL,                -- 1: it rests on the user's allowance
    state          TEXT NOT NULL,                   -- ENROLLMENT_STATE_...
    wrong_codes    INTEGER NOT NULL,
    created_at     INTEGER NOT NULL,
    expires_at     INTEGER NOT NULL,
    device_id      TEXT REFERENCES devices (id),    -- that took the link
    totp_id        TEXT REFERENCES totp_secrets (id)  -- that is enrolled
) STRICT;
CREATE INDEX enrollments_of_device ON enrollments (device_id);
CREATE INDEX enrollments_of_user ON enrollments (application_id, user_id);
-- Ended ones pile up for a day; what looks for open ones must not walk them.
CREATE INDEX open_enrollments_of_user ON enrollments (application_id, user_id)
    WHERE state IN ('ENROLLMENT_STATE_PENDING', 'ENROLLMENT_STATE_CONFIRMING');

CREATE TABLE totp_secrets (
    sequence       INTEGER PRIMARY KEY,             -- in the order in which they were made
    id             TEXT NOT NULL UNIQUE,            -- otp_...; a device's own: dev_...
    application_id TEXT NOT NULL REFERENCES applications (id),
    user_id        TEXT NOT NULL,
    secret         BLOB NOT NULL,                   -- under the master key
    algorithm      TEXT NOT NULL,                   -- TOTP_ALGORITHM_...
    digits         INTEGER NOT NULL,
    period_seconds INTEGER NOT NULL,
    created_at     INTEGER NOT NULL,
    confirmed_at   INTEGER,                         -- NULL: no code has come; a device's own: see the device
    revoked_at     INTEGER,
    last_used_at   INTEGER,
    step           INTEGER,                         -- the last one whose code was accepted
    used_by        TEXT                             -- chl_... that it was accepted for; NULL: the confirmation
) STRICT;
CREATE INDEX totp_secrets_of_user ON totp_secrets (application_id, user_id);

CREATE TABLE recovery_codes (
    sequence       INTEGER PRIMARY KEY,             -- in the order in which they were issued
    id             TEXT NOT NULL UNIQUE,            -- rec_...
    application_id TEXT NOT NULL REFERENCES applications (id),
    user_id        TEXT NOT NULL,
    tag            BLOB NOT NULL CHECK (length(tag) = 32),  -- HMAC of the code
    created_at     INTEGER NOT NULL,
    used_by        TEXT,                            -- chl_... that it was used for
    used_at        INTEGER,
    accepted_at    INTEGER,                         -- when it let in: it is given back no more
    replaced_at    INTEGER,                         -- when the next one was issued
    revoked_at     INTEGER
) STRICT;
CREATE INDEX recovery_codes_of_user ON recovery_codes (application_id, user_id);

-- Approvals of changes of factors that have been used; each is good for one factor.
CREATE TABLE authorizations_used (
    challenge_id TEXT NOT NULL PRIMARY KEY,         -- chl_...
    used_for     TEXT NOT NULL,                     -- enr_... or rec_...
    used_at      INTEGER NOT NULL
) STRICT;

-- An operator's permission to complete one enrolment without an approval.
CREATE TABLE enrollment_allowances (
    application_id TEXT NOT NULL REFERENCES applications (id),
    user_id        TEXT NOT NULL,
    granted_at     INTEGER NOT NULL,
    expires_at     INTEGER NOT NULL,                -- no enrolment begins with it from then on
    PRIMARY KEY (application_id, user_id)
) STRICT;

-- Copies of lock and block in the user records, which may be lost with the challenges.
CREATE TABLE user_standings (
    application_id  TEXT NOT NULL REFERENCES applications (id),
    user_id         TEXT NOT NULL,
    locked_at       INTEGER,
    push_blocked_at INTEGER,
    unlocked_at     INTEGER,                        -- older ones count no more
    PRIMARY KEY (application_id, user_id)
) STRICT;

-- Revocations and changes of key whose tombstone does not stand in the user record yet. Outlives the factor's row.
CREATE TABLE tombstones_due (
    tag                BLOB NOT NULL PRIMARY KEY CHECK (length(tag) = 32),
    factor_id          TEXT NOT NULL,               -- dev_..., otp_..., rec_...
    successor          BLOB CHECK (length(successor) = 32),    -- the tag of the key that took over
    successor_bound_at INTEGER,
    revoked_at         INTEGER NOT NULL
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
