-- Whom a notice for several accounts named, and who stand apart from its carrier since: what became of the
-- attempts that named them is part of their story, too. Written when a row leaves its carrier.
CREATE TABLE named_before (
    campaign_id INTEGER NOT NULL,
    number INTEGER NOT NULL,
    -- the recipient whose notice it was
    carrier INTEGER NOT NULL,
    -- the last attempt that named them
    generation INTEGER NOT NULL,
    n INTEGER NOT NULL,
    PRIMARY KEY (campaign_id, number, carrier)
) STRICT, WITHOUT ROWID;
