-- What the company's own site is told of passwords set here, a fresh copy of a notice that support asks for,
-- and requests for codes that nobody needs any more.

-- A password that its owner set here, of which the company is to be told: written in the transaction that makes
-- it so, and told until its endpoint took it.
CREATE TABLE reset_event (
    id INTEGER PRIMARY KEY,
    -- what the company knows it by: one event, however often it is told
    event TEXT NOT NULL UNIQUE,
    campaign_id INTEGER NOT NULL REFERENCES campaign (id),
    number INTEGER NOT NULL,
    -- what proved the person
    proof TEXT NOT NULL CHECK (proof IN ('code', 'link')),
    happened_at INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    due_at INTEGER NOT NULL,
    -- when the endpoint took it
    told_at INTEGER
) STRICT;
CREATE INDEX reset_event_waiting ON reset_event (campaign_id, due_at) WHERE told_at IS NULL;
CREATE INDEX reset_event_told ON reset_event (told_at) WHERE told_at IS NOT NULL;

-- The same table as before, but what proved a person outlives the request for their code.
CREATE TABLE reset_kept (
    id INTEGER PRIMARY KEY,
    campaign_id INTEGER NOT NULL REFERENCES campaign (id),
    number INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('claimed', 'done', 'released')),
    -- what proved the person: the request of a code, gone some days later, or the generation of a link's token
    request_id INTEGER,
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
INSERT INTO reset_kept SELECT id, campaign_id, number, state, request_id, generation, planned, life, claimed_at,
                              ended_at
                       FROM reset;
DROP TABLE reset;
ALTER TABLE reset_kept RENAME TO reset;
CREATE UNIQUE INDEX reset_claimed ON reset (campaign_id, number) WHERE state = 'claimed';
CREATE INDEX reset_by_person ON reset (campaign_id, number);

-- A request is forgotten together with the mail's word of it.
CREATE INDEX errand_by_request ON errand (request_id) WHERE request_id IS NOT NULL;

-- Support may ask for a fresh copy of a notice, and that is kept like a look-up.
CREATE TABLE support_look_up_kept (
    id INTEGER PRIMARY KEY,
    looked_up_by TEXT NOT NULL,
    -- what was typed: reference, account, address or number; never the text itself
    meant TEXT NOT NULL,
    campaign_id INTEGER,
    number INTEGER,
    what TEXT NOT NULL CHECK (what IN ('find', 'text', 'renotice')),
    looked_up_at INTEGER NOT NULL
) STRICT;
INSERT INTO support_look_up_kept SELECT id, looked_up_by, meant, campaign_id, number, what, looked_up_at
                                 FROM support_look_up;
DROP TABLE support_look_up;
ALTER TABLE support_look_up_kept RENAME TO support_look_up;
CREATE INDEX support_look_up_by_whom ON support_look_up (looked_up_by, looked_up_at);
