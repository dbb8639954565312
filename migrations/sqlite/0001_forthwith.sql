-- Forthwith on SQLite. Same numbers and names of migrations on every engine.
-- Instants are INTEGER microseconds UTC, digests and keys BLOB, states TEXT words of docs/lifecycle.md.
-- A row of `recipient`, `intent`, `outcome`, `resolution`, `credential_write`, `approval`, `plan_blob`,
-- `amendment` and `ledger_batch` is never updated.

-- ---------------------------------------------------------------- identity, keys, people who operate

CREATE TABLE database_identity (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    database_id BLOB NOT NULL CHECK (length(database_id) = 16),
    incarnation INTEGER NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

-- A new one is drawn by `campaign recover` after a rewind (protocol: R0).
CREATE TABLE incarnation (
    number INTEGER PRIMARY KEY,
    drawn_at INTEGER NOT NULL,
    cause TEXT NOT NULL
) STRICT;

-- Which keys this database was written under; the keys themselves are files.
CREATE TABLE key (
    purpose TEXT NOT NULL,
    id TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    retired_at INTEGER,
    PRIMARY KEY (purpose, id)
) STRICT;

CREATE TABLE operator (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    public_key BLOB NOT NULL UNIQUE CHECK (length(public_key) = 32),
    sealed_key TEXT NOT NULL,
    is_founder INTEGER NOT NULL CHECK (is_founder IN (0, 1)),
    added_at INTEGER NOT NULL,
    revoked_at INTEGER
) STRICT;

-- Who vouched for an operator: a signature over name, public key and added_at.
CREATE TABLE operator_addition (
    operator_id INTEGER NOT NULL REFERENCES operator (id),
    added_by INTEGER NOT NULL REFERENCES operator (id),
    signature BLOB NOT NULL CHECK (length(signature) = 64),
    PRIMARY KEY (operator_id, added_by)
) STRICT, WITHOUT ROWID;

-- ---------------------------------------------------------------- campaign, snapshots, approvals

CREATE TABLE campaign (
    id INTEGER PRIMARY KEY,
    uuid BLOB NOT NULL UNIQUE CHECK (length(uuid) = 16),
    name TEXT NOT NULL UNIQUE,
    incident TEXT NOT NULL,
    directory TEXT NOT NULL,
    environment TEXT NOT NULL CHECK (environment IN ('rehearsal', 'live')),
    -- the campaign's own random key, wrapped by the data key; NULL = erased
    wrapped_key BLOB,
    key_ids TEXT NOT NULL,
    seal_id INTEGER REFERENCES seal (id),
    containment_state TEXT NOT NULL
        CHECK (containment_state IN ('none', 'approved', 'running', 'paused', 'done')),
    containment_digest BLOB REFERENCES snapshot (digest),
    notice_state TEXT NOT NULL
        CHECK (notice_state IN ('draft', 'approved', 'running', 'paused', 'at-gate',
                                'sending-finished', 'closed', 'cancelled')),
    notice_digest BLOB REFERENCES snapshot (digest),
    -- who or what paused the notice track, and why, in words for the operator
    pause_cause TEXT CHECK (pause_cause IN ('operator', 'breaker', 'configuration')),
    pause_note TEXT,
    created_at INTEGER NOT NULL
) STRICT;

-- Content-addressed bytes that were planned and approved.
CREATE TABLE plan_blob (
    digest BLOB PRIMARY KEY CHECK (length(digest) = 32),
    bytes BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- A snapshot's digest is SHA-256 over its sorted (name, SHA-256) list.
CREATE TABLE snapshot (
    digest BLOB PRIMARY KEY CHECK (length(digest) = 32),
    campaign_id INTEGER NOT NULL REFERENCES campaign (id),
    kind TEXT NOT NULL CHECK (kind IN ('containment', 'notice')),
    entries TEXT NOT NULL,
    planned_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE approval (
    campaign_id INTEGER NOT NULL REFERENCES campaign (id),
    kind TEXT NOT NULL CHECK (kind IN ('containment', 'notice')),
    snapshot BLOB NOT NULL REFERENCES snapshot (digest),
    operator_id INTEGER NOT NULL REFERENCES operator (id),
    -- the exact bytes that were signed
    statement BLOB NOT NULL,
    signature BLOB NOT NULL CHECK (length(signature) = 64),
    signed_at INTEGER NOT NULL,
    PRIMARY KEY (campaign_id, kind, snapshot, operator_id)
) STRICT, WITHOUT ROWID;

-- ---------------------------------------------------------------- seal and people

CREATE TABLE seal (
    id INTEGER PRIMARY KEY,
    campaign_id INTEGER NOT NULL REFERENCES campaign (id),
    state TEXT NOT NULL CHECK (state IN ('copying', 'live', 'dead')),
    root BLOB NOT NULL CHECK (length(root) = 32),
    source_kind TEXT NOT NULL,
    source_name TEXT NOT NULL,
    source_digest BLOB NOT NULL CHECK (length(source_digest) = 32),
    as_of INTEGER NOT NULL,
    sealed_at INTEGER,
    source_rows INTEGER NOT NULL,
    sealed INTEGER NOT NULL,
    duplicates INTEGER NOT NULL,
    conflicts INTEGER NOT NULL,
    rejected INTEGER NOT NULL,
    names_refused INTEGER NOT NULL,
    -- high-water marks of the slices copied so far; each moves in its slice's transaction
    copied_number INTEGER NOT NULL DEFAULT 0,
    copied_account BLOB NOT NULL DEFAULT X'',
    copied_address BLOB NOT NULL DEFAULT X'',
    CHECK (source_rows = sealed + duplicates + conflicts + rejected)
) STRICT;

-- Written once at seal. `body` is the canonical row under the campaign's key (NULL after a purge);
-- `leaf` outlives it.
CREATE TABLE recipient (
    seal_id INTEGER NOT NULL,
    number INTEGER NOT NULL,
    salt BLOB NOT NULL CHECK (length(salt) = 16),
    leaf BLOB NOT NULL CHECK (length(leaf) = 32),
    body BLOB,
    address_reason TEXT NOT NULL,
    -- the recipient whose notice names this account too
    carrier INTEGER,
    -- the recipient of whom this row is a second address
    copy_of INTEGER,
    PRIMARY KEY (seal_id, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE account_lookup (
    seal_id INTEGER NOT NULL,
    digest BLOB NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY (seal_id, digest, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE address_lookup (
    seal_id INTEGER NOT NULL,
    digest BLOB NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY (seal_id, digest, number)
) STRICT, WITHOUT ROWID;

-- About 1,000 recipients homogeneous in (cohort, provider, zone, copy). Leased as a whole; its counters
-- make every total a sum over chunks, and the CHECK makes promise 1 the database's own rule.
CREATE TABLE chunk (
    seal_id INTEGER NOT NULL REFERENCES seal (id),
    number INTEGER NOT NULL,
    first_number INTEGER NOT NULL,
    last_number INTEGER NOT NULL,
    size INTEGER NOT NULL,
    root BLOB NOT NULL CHECK (length(root) = 32),
    cohort TEXT NOT NULL,
    provider TEXT NOT NULL,
    zone TEXT NOT NULL,
    is_copy INTEGER NOT NULL CHECK (is_copy IN (0, 1)),
    -- set by the notice approval, so that reordering waves needs no new seal
    wave INTEGER NOT NULL DEFAULT 1,
    send_window TEXT NOT NULL DEFAULT '',
    owner TEXT,
    incarnation INTEGER NOT NULL DEFAULT 0,
    epoch INTEGER NOT NULL DEFAULT 0,
    lease_until INTEGER,
    due_at INTEGER,
    queued INTEGER NOT NULL,
    deferred INTEGER NOT NULL DEFAULT 0,
    in_doubt INTEGER NOT NULL DEFAULT 0,
    held INTEGER NOT NULL DEFAULT 0,
    fallback INTEGER NOT NULL DEFAULT 0,
    told INTEGER NOT NULL DEFAULT 0,
    withdrawn INTEGER NOT NULL DEFAULT 0,
    waived INTEGER NOT NULL DEFAULT 0,
    -- intents without outcome, by the class their row keeps meanwhile
    in_flight_queued INTEGER NOT NULL DEFAULT 0,
    in_flight_deferred INTEGER NOT NULL DEFAULT 0,
    -- {"held/conflict": 2, "told/accepted": 900, …}: every class but queued and deferred, by reason
    reasons TEXT NOT NULL DEFAULT '{}',
    -- {"password/expired": 998, …}; what is missing from `size` is pending
    credentials TEXT NOT NULL DEFAULT '{}',
    PRIMARY KEY (seal_id, number),
    CHECK (queued + deferred + in_doubt + held + fallback + told + withdrawn + waived = size),
    CHECK (in_flight_queued BETWEEN 0 AND queued AND in_flight_deferred BETWEEN 0 AND deferred),
    CHECK (min(queued, deferred, in_doubt, held, fallback, told, withdrawn, waived) >= 0)
) STRICT, WITHOUT ROWID;

CREATE TABLE amendment (
    id INTEGER PRIMARY KEY,
    campaign_id INTEGER NOT NULL REFERENCES campaign (id),
    number INTEGER NOT NULL,
    kind TEXT NOT NULL
        CHECK (kind IN ('withdraw', 'replace-address', 'change-channel', 'hold', 'release', 'waive')),
    body BLOB,
    reason TEXT NOT NULL,
    evidence TEXT,
    signatures TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX amendment_by_recipient ON amendment (campaign_id, number);

-- ---------------------------------------------------------------- containment

-- No row means pending.
CREATE TABLE credential (
    campaign_id INTEGER NOT NULL,
    number INTEGER NOT NULL,
    kind TEXT NOT NULL,
    class TEXT NOT NULL,
    reason TEXT NOT NULL DEFAULT '',
    changed_at INTEGER NOT NULL,
    PRIMARY KEY (campaign_id, number, kind)
) STRICT, WITHOUT ROWID;

-- Our own writes, committed before they are tried: read-back accepts any of them as ours.
CREATE TABLE credential_write (
    campaign_id INTEGER NOT NULL,
    number INTEGER NOT NULL,
    kind TEXT NOT NULL,
    planned BLOB NOT NULL CHECK (length(planned) = 32),
    seen BLOB NOT NULL CHECK (length(seen) = 32),
    written_at INTEGER NOT NULL,
    PRIMARY KEY (campaign_id, number, kind, planned)
) STRICT, WITHOUT ROWID;

-- ---------------------------------------------------------------- delivery

-- No row means queued. In flight is never stored.
CREATE TABLE delivery (
    campaign_id INTEGER NOT NULL,
    number INTEGER NOT NULL,
    class TEXT NOT NULL,
    reason TEXT NOT NULL DEFAULT '',
    generation INTEGER NOT NULL DEFAULT 1,
    -- outcomes of this generation that ended in doubt: one automatic re-send at most
    doubts INTEGER NOT NULL DEFAULT 0,
    -- attempts that reached the wire
    attempts INTEGER NOT NULL DEFAULT 0,
    first_attempt_at INTEGER,
    due_at INTEGER,
    changed_at INTEGER NOT NULL,
    PRIMARY KEY (campaign_id, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE intent (
    campaign_id INTEGER NOT NULL,
    number INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    n INTEGER NOT NULL,
    -- the message's Date; with generation it decides every byte
    dated_at INTEGER NOT NULL,
    content BLOB NOT NULL CHECK (length(content) = 32),
    from_class TEXT NOT NULL CHECK (from_class IN ('queued', 'deferred')),
    chunk INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    incarnation INTEGER NOT NULL,
    worker TEXT NOT NULL,
    segment INTEGER NOT NULL,
    relay TEXT NOT NULL,
    PRIMARY KEY (campaign_id, number, generation, n)
) STRICT, WITHOUT ROWID;

CREATE TABLE outcome (
    campaign_id INTEGER NOT NULL,
    number INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    n INTEGER NOT NULL,
    result TEXT NOT NULL
        CHECK (result IN ('accepted', 'deferred', 'refused', 'policy', 'broken', 'in-doubt',
                          'not-started', 'unsendable')),
    phase TEXT NOT NULL DEFAULT '',
    code INTEGER,
    enhanced TEXT,
    queue_id TEXT,
    -- the peer's words under the campaign's key: they may name the person
    reply BLOB,
    ended_at INTEGER NOT NULL,
    PRIMARY KEY (campaign_id, number, generation, n)
) STRICT, WITHOUT ROWID;

-- Outcomes refused by the fence (a lapsed lease's epoch): evidence, and may resolve doubt.
CREATE TABLE late_outcome (
    id INTEGER PRIMARY KEY,
    campaign_id INTEGER NOT NULL,
    number INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    n INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    incarnation INTEGER NOT NULL,
    worker TEXT NOT NULL,
    result TEXT NOT NULL,
    phase TEXT NOT NULL DEFAULT '',
    code INTEGER,
    enhanced TEXT,
    queue_id TEXT,
    reply BLOB,
    ended_at INTEGER NOT NULL,
    received_at INTEGER NOT NULL
) STRICT;

-- How a doubt ended: append-only, keyed by the outcome it settles.
CREATE TABLE resolution (
    campaign_id INTEGER NOT NULL,
    number INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    n INTEGER NOT NULL,
    result TEXT NOT NULL
        CHECK (result IN ('accepted', 'not-sent', 'waived', 're-sent', 'second-copy-certain')),
    resolved_by TEXT NOT NULL,
    reason TEXT NOT NULL,
    signature BLOB,
    resolved_at INTEGER NOT NULL,
    PRIMARY KEY (campaign_id, number, generation, n, result)
) STRICT, WITHOUT ROWID;

-- A suspended lane, and how long its retry windows have stood still in all.
CREATE TABLE lane (
    campaign_id INTEGER NOT NULL,
    wave INTEGER NOT NULL,
    provider TEXT NOT NULL,
    send_window TEXT NOT NULL,
    suspended_at INTEGER,
    suspended_until INTEGER,
    cause TEXT,
    stood_still INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (campaign_id, wave, provider, send_window)
) STRICT, WITHOUT ROWID;

CREATE TABLE worker (
    id TEXT PRIMARY KEY,
    incarnation INTEGER NOT NULL,
    host TEXT NOT NULL,
    pid INTEGER NOT NULL,
    boot_id TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    stopped_at INTEGER
) STRICT, WITHOUT ROWID;

-- ---------------------------------------------------------------- limits across workers (protocol §11)

CREATE TABLE rate_lease (
    scope TEXT PRIMARY KEY,
    arrival_at INTEGER NOT NULL,
    per_second REAL NOT NULL,
    day TEXT NOT NULL,
    used_today INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE connection_slot (
    scope TEXT NOT NULL,
    slot INTEGER NOT NULL,
    owner TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (scope, slot)
) STRICT, WITHOUT ROWID;

-- ---------------------------------------------------------------- reset, errands, feedback

CREATE TABLE reset_token (
    campaign_id INTEGER NOT NULL,
    number INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    salt BLOB NOT NULL CHECK (length(salt) = 32),
    digest BLOB UNIQUE,
    expires_at INTEGER,
    consumed_at INTEGER,
    revoked_at INTEGER,
    PRIMARY KEY (campaign_id, number, generation)
) STRICT, WITHOUT ROWID;

CREATE TABLE code_request (
    id INTEGER PRIMARY KEY,
    digest BLOB NOT NULL,
    network TEXT NOT NULL,
    requested_at INTEGER NOT NULL
) STRICT;

CREATE TABLE errand (
    id INTEGER PRIMARY KEY,
    campaign_id INTEGER REFERENCES campaign (id),
    kind TEXT NOT NULL CHECK (kind IN ('code', 'confirmation', 'test-send', 'alarm')),
    number INTEGER,
    operator_id INTEGER REFERENCES operator (id),
    state TEXT NOT NULL,
    due_at INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    epoch INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE errand_intent (
    errand_id INTEGER NOT NULL REFERENCES errand (id),
    n INTEGER NOT NULL,
    dated_at INTEGER NOT NULL,
    content BLOB NOT NULL,
    PRIMARY KEY (errand_id, n)
) STRICT, WITHOUT ROWID;

CREATE TABLE errand_outcome (
    errand_id INTEGER NOT NULL REFERENCES errand (id),
    n INTEGER NOT NULL,
    result TEXT NOT NULL,
    code INTEGER,
    enhanced TEXT,
    queue_id TEXT,
    ended_at INTEGER NOT NULL,
    PRIMARY KEY (errand_id, n)
) STRICT, WITHOUT ROWID;

CREATE TABLE feedback (
    source TEXT NOT NULL,
    event_id TEXT NOT NULL,
    campaign_id INTEGER,
    number INTEGER,
    kind TEXT NOT NULL,
    body BLOB,
    received_at INTEGER NOT NULL,
    applied_at INTEGER,
    PRIMARY KEY (source, event_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE suppression (
    digest BLOB NOT NULL,
    scope TEXT NOT NULL,
    reason TEXT NOT NULL,
    added_at INTEGER NOT NULL,
    PRIMARY KEY (digest, scope)
) STRICT, WITHOUT ROWID;

-- ---------------------------------------------------------------- ledger (protocol §9)

-- Entries are canonical JSON, one a line; the blob is dropped once a sequencer has tiled it.
CREATE TABLE ledger_batch (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    writer TEXT NOT NULL,
    count INTEGER NOT NULL,
    sha256 BLOB NOT NULL CHECK (length(sha256) = 32),
    entries BLOB,
    written_at INTEGER NOT NULL
) STRICT;

CREATE TABLE ledger_tile (
    level INTEGER NOT NULL,
    number INTEGER NOT NULL,
    width INTEGER NOT NULL,
    bytes BLOB NOT NULL,
    PRIMARY KEY (level, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE checkpoint (
    size INTEGER PRIMARY KEY,
    root BLOB NOT NULL CHECK (length(root) = 32),
    note TEXT NOT NULL,
    made_at INTEGER NOT NULL
) STRICT;
