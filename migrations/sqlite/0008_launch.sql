-- The moment a live track was let loose: who typed the campaign's name and head count.
CREATE TABLE launch (
    campaign_id INTEGER NOT NULL REFERENCES campaign (id),
    track TEXT NOT NULL CHECK (track IN ('containment', 'notice')),
    head_count INTEGER NOT NULL,
    launched_by TEXT NOT NULL,
    launched_at INTEGER NOT NULL,
    PRIMARY KEY (campaign_id, track)
) STRICT, WITHOUT ROWID;

-- Acts upon a whole campaign that cannot be undone, with the operator's signature. Append-only.
CREATE TABLE act (
    id INTEGER PRIMARY KEY,
    campaign_id INTEGER NOT NULL REFERENCES campaign (id),
    kind TEXT NOT NULL CHECK (kind IN ('cancel', 'close')),
    operator_id INTEGER NOT NULL REFERENCES operator (id),
    reason TEXT NOT NULL,
    -- the exact bytes that were signed
    statement BLOB NOT NULL,
    signature BLOB NOT NULL CHECK (length(signature) = 64),
    acted_at INTEGER NOT NULL
) STRICT;
CREATE INDEX act_by_campaign ON act (campaign_id);

-- Who asked for an errand: an operator's name or `os:user@host`.
ALTER TABLE errand ADD COLUMN requested_by TEXT NOT NULL DEFAULT '';
CREATE INDEX errand_by_campaign ON errand (campaign_id, kind);
