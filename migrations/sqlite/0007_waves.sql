-- Launch order and its brakes: waves, what their gates were shown, the canary's go, the breaker's window.

-- Made by the notice approval; chunk.wave names its number. A wave that opened stays open.
CREATE TABLE wave (
    campaign_id INTEGER NOT NULL REFERENCES campaign (id),
    number INTEGER NOT NULL CHECK (number > 0),
    name TEXT NOT NULL,
    is_canary INTEGER NOT NULL CHECK (is_canary IN (0, 1)),
    -- its own deadline, else the campaign's
    deadline INTEGER,
    opened_at INTEGER,
    -- when the first transaction of one of its people had ended
    first_permit_at INTEGER,
    PRIMARY KEY (campaign_id, number)
) STRICT, WITHOUT ROWID;

-- Campaigns approved before there were waves have one.
INSERT INTO wave (campaign_id, number, name, is_canary)
SELECT id, 1, 'everyone', 0 FROM campaign WHERE notice_digest IS NOT NULL;

-- Evidence an operator gave and signed; append-only. Bound to the gate's words: evidence for other words
-- opens nothing.
CREATE TABLE gate_evidence (
    campaign_id INTEGER NOT NULL REFERENCES campaign (id),
    gate TEXT NOT NULL,
    text_digest BLOB NOT NULL CHECK (length(text_digest) = 32),
    -- the operator's words under the campaign's key
    evidence BLOB NOT NULL,
    operator_id INTEGER NOT NULL REFERENCES operator (id),
    signature BLOB NOT NULL CHECK (length(signature) = 64),
    passed_at INTEGER NOT NULL,
    PRIMARY KEY (campaign_id, gate, text_digest)
) STRICT, WITHOUT ROWID;

-- An operator saw how the canary went and let the others follow.
CREATE TABLE canary_go (
    campaign_id INTEGER PRIMARY KEY REFERENCES campaign (id),
    told INTEGER NOT NULL,
    bounced INTEGER NOT NULL,
    deferred INTEGER NOT NULL,
    complaints INTEGER NOT NULL,
    operator_id INTEGER NOT NULL REFERENCES operator (id),
    signature BLOB NOT NULL CHECK (length(signature) = 64),
    gone_at INTEGER NOT NULL
) STRICT;

-- How the last attempts ended, one bit each, moved in the recorder's transaction; gone when a paused
-- track goes on.
CREATE TABLE breaker (
    campaign_id INTEGER PRIMARY KEY REFERENCES campaign (id),
    attempts BLOB NOT NULL
) STRICT;
