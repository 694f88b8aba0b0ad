-- From layout 1, of the time when all factors were devices and every user could enrol one more, to layout 2.

ALTER TABLE tombstones_due RENAME TO tombstones_due_1;
ALTER TABLE enrollments RENAME TO enrollments_1;
DROP INDEX enrollments_of_device;
DROP INDEX enrollments_of_user;
DROP INDEX open_enrollments_of_user;

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

CREATE TABLE authorizations_used (
    challenge_id TEXT NOT NULL PRIMARY KEY,         -- chl_...
    used_for     TEXT NOT NULL,                     -- enr_... or rec_...
    used_at      INTEGER NOT NULL
) STRICT;

CREATE TABLE enrollment_allowances (
    application_id TEXT NOT NULL REFERENCES applications (id),
    user_id        TEXT NOT NULL,
    granted_at     INTEGER NOT NULL,
    expires_at     INTEGER NOT NULL,                -- no enrolment begins with it from then on
    PRIMARY KEY (application_id, user_id)
) STRICT;

CREATE TABLE user_standings (
    application_id  TEXT NOT NULL REFERENCES applications (id),
    user_id         TEXT NOT NULL,
    locked_at       INTEGER,
    push_blocked_at INTEGER,
    unlocked_at     INTEGER,                        -- older ones count no more
    PRIMARY KEY (application_id, user_id)
) STRICT;

CREATE TABLE tombstones_due (
    tag                BLOB NOT NULL PRIMARY KEY CHECK (length(tag) = 32),
    factor_id          TEXT NOT NULL,               -- dev_..., otp_..., rec_...
    successor          BLOB CHECK (length(successor) = 32),    -- the tag of the key that took over
    successor_bound_at INTEGER,
    revoked_at         INTEGER NOT NULL
) STRICT;

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
CREATE INDEX open_enrollments_of_user ON enrollments (application_id, user_id)
    WHERE state IN ('ENROLLMENT_STATE_PENDING', 'ENROLLMENT_STATE_CONFIRMING');

INSERT INTO tombstones_due (factor_id, tag, revoked_at)
    SELECT device_id, device_tag, revoked_at FROM tombstones_due_1;
INSERT INTO enrollments (sequence, id, application_id, user_id, account_name, type, token_tag, offer, by_allowance,
        state, wrong_codes, created_at, expires_at, device_id)
    SELECT sequence, id, application_id, user_id, account_name, 'FACTOR_TYPE_DEVICE', token_tag, offer, 0,
        state, wrong_codes, created_at, expires_at, device_id FROM enrollments_1;

DROP TABLE tombstones_due_1;
DROP TABLE enrollments_1;
