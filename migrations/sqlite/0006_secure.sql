-- The kill for real audiences: why containment is paused, when the first pass began, who was exempted by
-- name, and what re-checks found.

ALTER TABLE campaign ADD COLUMN containment_cause TEXT
    CHECK (containment_cause IN ('operator', 'first-batch', 'control-account', 'statement', 'read-back'));
ALTER TABLE campaign ADD COLUMN containment_note TEXT;
-- when the first secure pass began: `give_up_after` counts from here
ALTER TABLE campaign ADD COLUMN secure_began_at INTEGER;
-- when a pass stopped after its first batch to be looked at; it does so once
ALTER TABLE campaign ADD COLUMN first_batch_at INTEGER;

-- Credentials taken out by name before the pass; append-only.
CREATE TABLE exemption (
    campaign_id INTEGER NOT NULL REFERENCES campaign (id),
    number INTEGER NOT NULL,
    kind TEXT NOT NULL,
    reason TEXT NOT NULL,
    exempted_by TEXT NOT NULL,
    signature BLOB NOT NULL CHECK (length(signature) = 64),
    exempted_at INTEGER NOT NULL,
    PRIMARY KEY (campaign_id, number, kind)
) STRICT, WITHOUT ROWID;

-- One row a re-check of what was expired; `kind` and `after_number` say where it goes on.
CREATE TABLE recheck (
    id INTEGER PRIMARY KEY,
    campaign_id INTEGER NOT NULL REFERENCES campaign (id),
    started_at INTEGER NOT NULL,
    ended_at INTEGER,
    kind TEXT NOT NULL DEFAULT '',
    after_number INTEGER NOT NULL DEFAULT 0,
    checked INTEGER NOT NULL DEFAULT 0,
    fine INTEGER NOT NULL DEFAULT 0,
    regressed INTEGER NOT NULL DEFAULT 0,
    mended INTEGER NOT NULL DEFAULT 0,
    reset_elsewhere INTEGER NOT NULL DEFAULT 0,
    -- regressed only by sessions: the value was still ours
    sessions INTEGER NOT NULL DEFAULT 0,
    CHECK (checked = fine + regressed + reset_elsewhere AND mended <= regressed)
) STRICT;
CREATE INDEX recheck_by_campaign ON recheck (campaign_id, id);
