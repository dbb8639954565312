-- The way back in: codes by mail, passwords set by their owners, and the mail that goes with both.

-- One for each request for a code, whoever asked and whatever they typed; nothing was ever written to the
-- table of this name before.
DROP TABLE code_request;
CREATE TABLE code_request (
    id INTEGER PRIMARY KEY,
    -- keyed digests: of the browser's visit, of the typed address, of the network the request came from
    visit BLOB NOT NULL CHECK (length(visit) = 16),
    address BLOB NOT NULL CHECK (length(address) = 16),
    network BLOB NOT NULL CHECK (length(network) = 16),
    -- keyed digest of the reference number that came with it
    reference BLOB CHECK (reference IS NULL OR length(reference) = 16),
    locale TEXT NOT NULL,
    requested_at INTEGER NOT NULL,
    -- codes typed for it
    tries INTEGER NOT NULL DEFAULT 0,
    -- what a task outside of the request made of it; '' = not looked at yet
    answer TEXT NOT NULL DEFAULT '' CHECK (answer IN ('', 'unknown', 'limited', 'code', 'support', 'not-yet',
                                                      'no-password', 'ordinary')),
    answered_at INTEGER,
    -- what the code is derived from, and what it is recognised by
    salt BLOB CHECK (salt IS NULL OR length(salt) = 32),
    code BLOB CHECK (code IS NULL OR length(code) = 32),
    expires_at INTEGER,
    proved_at INTEGER,
    CHECK ((answer = 'code') = (code IS NOT NULL))
) STRICT;
CREATE INDEX code_request_unanswered ON code_request (id) WHERE answer = '';
CREATE INDEX code_request_by_visit ON code_request (visit, id);
CREATE INDEX code_request_by_address ON code_request (address, requested_at);

-- The accounts that a code opens.
CREATE TABLE code_account (
    request_id INTEGER NOT NULL REFERENCES code_request (id),
    campaign_id INTEGER NOT NULL REFERENCES campaign (id),
    number INTEGER NOT NULL,
    PRIMARY KEY (request_id, campaign_id, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX code_account_by_person ON code_account (campaign_id, number);

-- A password on its way into the company's directory: claimed before, done after, released where nothing came
-- of it. One at a time for each person.
CREATE TABLE reset (
    id INTEGER PRIMARY KEY,
    campaign_id INTEGER NOT NULL REFERENCES campaign (id),
    number INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('claimed', 'done', 'released')),
    -- what proved the person: a code's request, or the generation of a link's token
    request_id INTEGER REFERENCES code_request (id),
    generation INTEGER,
    -- HMAC of the value that was to be set
    planned BLOB NOT NULL CHECK (length(planned) = 32),
    -- the life of the portal that claimed it
    life TEXT NOT NULL,
    claimed_at INTEGER NOT NULL,
    ended_at INTEGER,
    CHECK ((request_id IS NULL) <> (generation IS NULL)),
    CHECK ((state = 'claimed') = (ended_at IS NULL))
) STRICT;
CREATE UNIQUE INDEX reset_claimed ON reset (campaign_id, number) WHERE state = 'claimed';
CREATE INDEX reset_by_person ON reset (campaign_id, number);

-- Errands that wait for a mail: leased by row.
ALTER TABLE errand ADD COLUMN request_id INTEGER REFERENCES code_request (id);
ALTER TABLE errand ADD COLUMN locale TEXT NOT NULL DEFAULT '';
ALTER TABLE errand ADD COLUMN life TEXT NOT NULL DEFAULT '';
-- attempts that may have arrived
ALTER TABLE errand ADD COLUMN doubts INTEGER NOT NULL DEFAULT 0;
-- it is worth nothing afterwards
ALTER TABLE errand ADD COLUMN expires_at INTEGER;
CREATE INDEX errand_waiting ON errand (due_at) WHERE state IN ('queued', 'taken');

-- What happened at the portal, by campaign and hour: wrong codes above all, which nobody counts for one
-- account alone. Campaign 0 has what belongs to none: it is counted all the same, so that nobody learns by the
-- time it takes whether an address is known.
CREATE TABLE portal_count (
    campaign_id INTEGER NOT NULL,
    event TEXT NOT NULL,
    hour INTEGER NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (campaign_id, event, hour)
) STRICT, WITHOUT ROWID;

-- Every link and code of a campaign taken back at once, with the operator's signature. Append-only.
CREATE TABLE revocation (
    id INTEGER PRIMARY KEY,
    campaign_id INTEGER NOT NULL REFERENCES campaign (id),
    operator_id INTEGER NOT NULL REFERENCES operator (id),
    reason TEXT NOT NULL,
    -- the exact bytes that were signed
    statement BLOB NOT NULL,
    signature BLOB NOT NULL CHECK (length(signature) = 64),
    tokens INTEGER NOT NULL,
    codes INTEGER NOT NULL,
    revoked_at INTEGER NOT NULL
) STRICT;
CREATE INDEX revocation_by_campaign ON revocation (campaign_id);

-- What support looked up: who, and whom. Append-only.
CREATE TABLE support_look_up (
    id INTEGER PRIMARY KEY,
    looked_up_by TEXT NOT NULL,
    -- what was typed: reference, account, address or number; never the text itself
    meant TEXT NOT NULL,
    campaign_id INTEGER,
    number INTEGER,
    what TEXT NOT NULL CHECK (what IN ('find', 'text')),
    looked_up_at INTEGER NOT NULL
) STRICT;
CREATE INDEX support_look_up_by_whom ON support_look_up (looked_up_by, looked_up_at);
