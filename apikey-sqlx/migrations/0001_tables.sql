-- Times are milliseconds since the Unix epoch.

-- Organizations. On PostgreSQL, the row is also the lock of the organization's changes.
CREATE TABLE @organization (
    id {text} NOT NULL PRIMARY KEY,
    suspended_at {int},
    suspended_by {text}
){table};

-- Read for every key that is looked up, and nearly always empty.
CREATE INDEX #organization_suspended ON @organization (id) WHERE suspended_at IS NOT NULL;

CREATE TABLE @service_account (
    id {text} NOT NULL PRIMARY KEY,
    organization {text} NOT NULL,
    name {text} NOT NULL,
    description {text} NOT NULL,
    disabled_at {int},
    disabled_by {text},
    created_at {int} NOT NULL,
    created_by {text} NOT NULL,
    version {int} NOT NULL
){table};
CREATE INDEX #service_account_page ON @service_account (organization, created_at, id);

CREATE TABLE @key (
    id {text} NOT NULL PRIMARY KEY,
    organization {text} NOT NULL,
    service_account {text},
    name {text} NOT NULL,
    description {text} NOT NULL,
    environment {text},
    hint {text} NOT NULL,
    scopes {text} NOT NULL,
    created_at {int} NOT NULL,
    created_by {text} NOT NULL,
    created_by_key {text},
    not_before {int},
    expires_at {int},
    last_used_at {int},
    disabled_at {int},
    disabled_by {text},
    revoked_at {int},
    revoked_by {text},
    revoked_reason {text},
    metadata {text} NOT NULL,
    version {int} NOT NULL
){table};
-- One index for each filter of a list, in the list's order, so that rare keys are found without reading others.
CREATE INDEX #key_page ON @key (organization, created_at, id);
CREATE INDEX #key_environment ON @key (organization, environment, created_at, id) WHERE environment IS NOT NULL;
CREATE INDEX #key_account ON @key (organization, service_account, created_at, id) WHERE service_account IS NOT NULL;
CREATE INDEX #key_creator ON @key (organization, created_by, created_at, id);
CREATE INDEX #key_parent ON @key (organization, created_by_key, created_at, id) WHERE created_by_key IS NOT NULL;
CREATE INDEX #key_disabled ON @key (organization, created_at, id) WHERE disabled_at IS NOT NULL;
CREATE INDEX #key_revoked ON @key (organization, created_at, id) WHERE revoked_at IS NOT NULL;
-- The list by expiry. Keys without an expiry come where the last possible moment is.
CREATE INDEX #key_expiry ON @key (organization, (COALESCE(expires_at, 253402300799999)), id);
CREATE INDEX #key_pending ON @key (organization, not_before) WHERE not_before IS NOT NULL;
-- Keys that count toward a limit, and expired keys.
CREATE INDEX #key_counted ON @key (organization, expires_at) WHERE revoked_at IS NULL;
CREATE INDEX #key_expiring ON @key (expires_at, id) WHERE revoked_at IS NULL AND expires_at IS NOT NULL;

-- A row outlives its key as a tombstone without one, so that its digest can't be used again.
CREATE TABLE @secret (
    digest {bytes} NOT NULL,
    algorithm {text} NOT NULL,
    key_id {text} REFERENCES @key (id),
    -- Numbers a key's secrets from 1. The newest has the greatest number.
    number {int},
    created_at {int},
    superseded_at {int},
    ends_at {int},
    -- Set when the secret was ended. It is then rejected independently of the clock and of `ends_at`.
    ended_at {int},
    PRIMARY KEY (digest, algorithm)
){keyed_table};
CREATE UNIQUE INDEX #secret_of_key ON @secret (key_id, number) WHERE key_id IS NOT NULL;
CREATE INDEX #secret_rotated ON @secret (key_id) WHERE number > 1 AND key_id IS NOT NULL;

-- The last use of each secret. It is a table of its own, so that usage and changes never wait for each other.
CREATE TABLE @seen (
    key_id {text} NOT NULL REFERENCES @key (id) ON DELETE CASCADE,
    number {int} NOT NULL,
    at {int} NOT NULL,
    PRIMARY KEY (key_id, number)
){keyed_table};

-- Which actor made which key or secret, or widened a key's rights. Bulk revocations follow it. Rows outlive their keys.
CREATE TABLE @lineage (
    organization {text} NOT NULL,
    actor {text} NOT NULL,
    -- The digest of the secret that the actor presented, if the actor is a key.
    presented {bytes},
    key_id {text} NOT NULL,
    -- `key`, `secret` or `widening`.
    made {text} NOT NULL,
    -- The digest of the secret that was made.
    digest {bytes}
){table};
CREATE INDEX #lineage_actor ON @lineage (actor, organization);

-- The ids of deleted keys, which can't be used again.
CREATE TABLE @deleted_key (
    id {text} NOT NULL PRIMARY KEY
){keyed_table};

-- The usage of each key by the hour. It outlives the key.
CREATE TABLE @usage (
    key_id {text} NOT NULL,
    hour {int} NOT NULL,
    organization {text} NOT NULL,
    ok {int} NOT NULL,
    refused {int} NOT NULL,
    PRIMARY KEY (key_id, hour)
){keyed_table};
CREATE INDEX #usage_hour ON @usage (hour);

-- Sums of usage, kept up to date, so that reading an organization's usage doesn't cost more with more keys.
CREATE TABLE @usage_sum (
    organization {text} NOT NULL,
    -- The subject: 0 the organization, 1 a service account, 2 an environment.
    part {int} NOT NULL,
    -- The account or the environment.
    name {text} NOT NULL,
    -- The length of the sum in hours: 1, or 24 for a day in UTC.
    hours {int} NOT NULL,
    start {int} NOT NULL,
    ok {int} NOT NULL,
    refused {int} NOT NULL,
    PRIMARY KEY (organization, part, name, hours, start)
){keyed_table};
CREATE INDEX #usage_sum_start ON @usage_sum (start);

-- The batches of usage that were added. No batch is added twice.
CREATE TABLE @usage_batch (
    id {text} NOT NULL PRIMARY KEY,
    at {int} NOT NULL
){keyed_table};
CREATE INDEX #usage_batch_at ON @usage_batch (at);

CREATE TABLE @activity (
    id {counter},
    organization {text} NOT NULL,
    key_id {text} NOT NULL,
    at {int} NOT NULL,
    method {text} NOT NULL,
    route {text},
    status {int} NOT NULL,
    address {text},
    user_agent {text}
){table};
CREATE INDEX #activity_page ON @activity (key_id, at, id);
CREATE INDEX #activity_at ON @activity (at);

CREATE TABLE @marker (
    name {text} NOT NULL PRIMARY KEY,
    value {text} NOT NULL
){keyed_table};

-- The requests with an `Idempotency-Key` that were carried out. A repeated request is found here.
CREATE TABLE @request (
    organization {text} NOT NULL,
    -- Digests, in hexadecimal: of the actor, the operation and the key, and of the input.
    request {text} NOT NULL,
    input {text} NOT NULL,
    -- The ids of the keys that it made or changed, separated by spaces.
    keys {text} NOT NULL,
    at {int} NOT NULL,
    PRIMARY KEY (organization, request)
){keyed_table};
CREATE INDEX #request_age ON @request (organization, at, request);

-- One row: the revision of the last change of access, and the incarnation of the database that it counts in.
CREATE TABLE @fleet (
    id {int} NOT NULL PRIMARY KEY CHECK (id = 1),
    revision {int} NOT NULL,
    nonce {text} NOT NULL
){table};
INSERT INTO @fleet (id, revision, nonce) VALUES (1, 0, {random});

-- The latest changes of access, for the caches of other processes.
CREATE TABLE @change (
    revision {int} NOT NULL PRIMARY KEY,
    nonce {text} NOT NULL,
    -- The first targets, as a JSON array.
    targets {text} NOT NULL
){table};
INSERT INTO @change (revision, nonce, targets) SELECT revision, nonce, '[]' FROM @fleet;

-- The further targets of a change that has many. They are written before the revision is locked.
CREATE TABLE @change_target (
    nonce {text} NOT NULL,
    n {int} NOT NULL,
    targets {text} NOT NULL,
    PRIMARY KEY (nonce, n)
){keyed_table};

-- The processes that follow the changes, each with a row while it holds a lease.
CREATE TABLE @node (
    id {text} NOT NULL PRIMARY KEY,
    lease_ms {int} NOT NULL,
    -- The revision up to which the process has said that its cache reflects the changes.
    applied {int} NOT NULL,
    -- Counts its renewals.
    beat {int} NOT NULL,
    -- The database's time of the latest one. Operators read it, and nothing else does.
    beat_at {int} NOT NULL
){table};

-- The log of alerts. Its numbers grow in the order of commits of one organization.
CREATE TABLE @alert (
    id {counter},
    organization {text} NOT NULL,
    key_id {text} NOT NULL,
    event {text} NOT NULL,
    -- Equal for equal events, so that each is written once.
    reference {text} NOT NULL UNIQUE,
    at {int} NOT NULL,
    -- The event, as JSON.
    body {text} NOT NULL,
    acknowledged_at {int},
    acknowledged_by {text}
){table};
CREATE INDEX #alert_page ON @alert (organization, id);
CREATE INDEX #alert_key ON @alert (organization, key_id, id);
CREATE INDEX #alert_open ON @alert (organization, id) WHERE acknowledged_at IS NULL;
CREATE INDEX #alert_open_key ON @alert (key_id) WHERE acknowledged_at IS NULL;
CREATE INDEX #alert_at ON @alert (at);

-- The thresholds of organizations that have set their own, as JSON.
CREATE TABLE @alert_settings (
    organization {text} NOT NULL PRIMARY KEY,
    settings {text} NOT NULL
){keyed_table};

CREATE TABLE @webhook (
    id {text} NOT NULL PRIMARY KEY,
    organization {text} NOT NULL,
    url {text} NOT NULL,
    description {text} NOT NULL,
    -- The events that are sent, each between spaces; empty for all.
    events {text} NOT NULL,
    disabled {int} NOT NULL,
    -- Messages are signed with it, so it can't be a digest.
    secret {text} NOT NULL,
    previous_secret {text},
    previous_ends_at {int},
    created_at {int} NOT NULL,
    created_by {text} NOT NULL,
    version {int} NOT NULL
){table};
CREATE INDEX #webhook_page ON @webhook (organization, created_at, id);

-- The outbox: an alert's delivery to each receiver.
CREATE TABLE @delivery (
    id {counter},
    organization {text} NOT NULL,
    alert_id {int} NOT NULL,
    event {text} NOT NULL,
    -- `host`, or the id of a webhook.
    receiver {text} NOT NULL,
    created_at {int} NOT NULL,
    -- `pending`, `delivered` or `parked`.
    state {text} NOT NULL,
    attempts {int} NOT NULL,
    -- The time of the next attempt, while it is pending.
    due_at {int},
    claimed_by {text},
    claimed_until {int},
    last_at {int},
    last_status {int},
    last_error {text},
    UNIQUE (alert_id, receiver)
){table};
CREATE INDEX #delivery_due ON @delivery (due_at, id) WHERE due_at IS NOT NULL;
CREATE INDEX #delivery_claim ON @delivery (claimed_by) WHERE claimed_by IS NOT NULL;
CREATE INDEX #delivery_page ON @delivery (receiver, id);
CREATE INDEX #delivery_at ON @delivery (created_at);

CREATE TABLE @audit (
    id {text} NOT NULL PRIMARY KEY,
    at {int} NOT NULL,
    organization {text} NOT NULL,
    actor {text} NOT NULL,
    action {text} NOT NULL,
    target {text} NOT NULL,
    state_before {text},
    state_after {text},
    request_id {text}
){keyed_table};
CREATE INDEX #audit_page ON @audit (organization, at, id);
CREATE INDEX #audit_actor ON @audit (organization, actor, at, id);
CREATE INDEX #audit_action ON @audit (organization, action, at, id);
CREATE INDEX #audit_target ON @audit (organization, target, at, id);
CREATE INDEX #audit_at ON @audit (at);

-- The time before which the retention command may delete events. It is set only within that command's transaction.
CREATE TABLE @audit_retention (
    id {int} NOT NULL PRIMARY KEY CHECK (id = 1),
    cutoff {int}
){table};
INSERT INTO @audit_retention (id, cutoff) VALUES (1, NULL);
