-- What a refusal was read as, and lanes that go on more slowly for a while.

-- a word of the reply classes; NULL where the peer accepted or said nothing
ALTER TABLE outcome ADD COLUMN reply_class TEXT;
ALTER TABLE late_outcome ADD COLUMN reply_class TEXT;

ALTER TABLE lane ADD COLUMN slowed_until INTEGER;
ALTER TABLE lane ADD COLUMN slowed_per_second REAL;
ALTER TABLE lane ADD COLUMN slowed_cause TEXT;
