-- Amendments beside the seal: append-only, signed, and never a further person.

-- Its first form had no writer. A person's amendments are counted from 1 without gaps: the key is the
-- gate against two at once, and one lookup by key gives the newest.
DROP TABLE amendment;

CREATE TABLE amendment (
    campaign_id INTEGER NOT NULL REFERENCES campaign (id),
    number INTEGER NOT NULL,
    n INTEGER NOT NULL CHECK (n > 0),
    kind TEXT NOT NULL
        CHECK (kind IN ('withdraw', 'replace-address', 'change-channel', 'hold', 'release', 'waive')),
    -- the class it left and the class it came to, `class/reason`
    was TEXT NOT NULL,
    became TEXT NOT NULL,
    -- what it sets, its reason and its evidence under the campaign's key; NULL after a purge
    body BLOB,
    -- keyed digest of the address it brings; the sealed ones stand in address_lookup
    address BLOB,
    amended_at INTEGER NOT NULL,
    PRIMARY KEY (campaign_id, number, n)
) STRICT, WITHOUT ROWID;
CREATE INDEX amendment_by_address
    ON amendment (campaign_id, address) WHERE address IS NOT NULL;

CREATE TABLE amendment_signature (
    campaign_id INTEGER NOT NULL,
    number INTEGER NOT NULL,
    n INTEGER NOT NULL,
    operator_id INTEGER NOT NULL REFERENCES operator (id),
    signature BLOB NOT NULL CHECK (length(signature) = 64),
    PRIMARY KEY (campaign_id, number, n, operator_id)
) STRICT, WITHOUT ROWID;
