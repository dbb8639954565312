-- The lives of workers in their order: which journals may hold what a restored backup has lost. Written
-- before a life's first intent.
CREATE TABLE life (
    ordinal INTEGER PRIMARY KEY,
    worker TEXT NOT NULL
) STRICT;

-- How an intent came here: '' = committed before its attempt; 'journal' = a restored database had lost it, a
-- wire journal told of it; 'rewind' = nobody knows whether there was an attempt, so there may have been one.
ALTER TABLE intent ADD COLUMN origin TEXT NOT NULL DEFAULT ''
    CHECK (origin IN ('', 'journal', 'rewind'));

-- Who ended a rewind, in exact bytes and their signature; none for the first incarnation.
ALTER TABLE incarnation ADD COLUMN operator_id INTEGER REFERENCES operator (id);
ALTER TABLE incarnation ADD COLUMN statement BLOB;
ALTER TABLE incarnation ADD COLUMN signature BLOB;
-- The newest life the restored database knew: the journals from this one on tell what it lost.
ALTER TABLE incarnation ADD COLUMN after_life INTEGER;
-- 1 = the journals proved everything; 0 = some were missing, and whoever was open was held in doubt.
ALTER TABLE incarnation ADD COLUMN is_proved INTEGER CHECK (is_proved IN (0, 1));

-- People who certainly got the same notice twice are counted by status.
CREATE INDEX second_copy ON resolution (campaign_id) WHERE result = 'second-copy-certain';
