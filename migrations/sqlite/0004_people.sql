-- Every kind of person: several accounts at one address, second addresses, the rules they were sealed by.

-- Accounts whose notice goes to this row's address, this one included.
ALTER TABLE recipient ADD COLUMN at_address INTEGER NOT NULL DEFAULT 1;

-- Rows with `copy_of`; they are no source rows and stand in no sum of people.
ALTER TABLE seal ADD COLUMN copies INTEGER NOT NULL DEFAULT 0;
-- The rules people were judged, grouped and drawn by, as canonical JSON.
ALTER TABLE seal ADD COLUMN rules TEXT NOT NULL DEFAULT '{}';

-- Rows whose class follows another's (`leader`), with the row that leads a group. `recipient.carrier` says
-- who was chosen at seal and never changes; who carries now stands here, and changes when a carrier is
-- withdrawn, waived or given another address.
CREATE TABLE follower (
    campaign_id INTEGER NOT NULL,
    number INTEGER NOT NULL,
    -- for a carrier: itself
    leader INTEGER NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('carrier', 'carried', 'copy')),
    -- the row's person as the ledger knows them, 32 bytes in hex: they move without being opened
    person TEXT NOT NULL CHECK (length(person) = 64),
    PRIMARY KEY (campaign_id, number),
    CHECK (kind <> 'carrier' OR leader = number)
) STRICT, WITHOUT ROWID;
CREATE INDEX follower_by_leader ON follower (campaign_id, leader);

-- Carried rows among `queued` and `deferred`: they wait for their carrier, and nobody claims them.
ALTER TABLE chunk ADD COLUMN carried_queued INTEGER NOT NULL DEFAULT 0
    CHECK (carried_queued BETWEEN 0 AND queued);
ALTER TABLE chunk ADD COLUMN carried_deferred INTEGER NOT NULL DEFAULT 0
    CHECK (carried_deferred BETWEEN 0 AND deferred);
