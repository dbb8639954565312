-- What an operator set while a campaign runs: over its file and over the provider table.
-- `scope` is a provider's name, or empty for the pace over all. NULL = not set.
CREATE TABLE pace (
    campaign_id INTEGER NOT NULL REFERENCES campaign (id),
    scope TEXT NOT NULL,
    per_second REAL CHECK (per_second > 0),
    per_day INTEGER CHECK (per_day > 0),
    set_by TEXT NOT NULL,
    set_at INTEGER NOT NULL,
    PRIMARY KEY (campaign_id, scope)
) STRICT, WITHOUT ROWID;

-- Since when the notice track is paused: nobody's retry window runs on meanwhile.
ALTER TABLE campaign ADD COLUMN paused_at INTEGER;
