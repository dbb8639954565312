-- Which earlier campaigns' classes a seal was made of: while people are in both, the earlier one does not go
-- on telling them. Written with the flip of the seal.
CREATE TABLE seal_reading (
    seal_id INTEGER NOT NULL REFERENCES seal (id),
    campaign_id INTEGER NOT NULL REFERENCES campaign (id),
    step TEXT NOT NULL CHECK (step IN ('from', 'intersect', 'minus')),
    -- as the campaign file names them: `told, in-doubt`
    classes TEXT NOT NULL,
    PRIMARY KEY (seal_id, campaign_id, step, classes)
) STRICT, WITHOUT ROWID;
CREATE INDEX seal_reading_by_campaign ON seal_reading (campaign_id);

-- Seals of before said the same in words: `minus first-wave (told)`, and `first-wave (told)` as their source.
INSERT OR IGNORE INTO seal_reading (seal_id, campaign_id, step, classes)
SELECT s.id, c.id, substr(w.words, 1, instr(w.words, ' ') - 1),
       rtrim(substr(w.words, instr(w.words, ' ') + length(c.name) + 3), ')')
FROM seal AS s
JOIN (SELECT id, 'from ' || source_name AS words FROM seal WHERE source_kind = 'campaign'
      UNION ALL
      SELECT seal.id, j.key FROM seal, json_each(seal.excluded) AS j) AS w ON w.id = s.id
JOIN campaign AS c
  ON substr(w.words, instr(w.words, ' ') + 1, length(c.name) + 2) = c.name || ' ('
WHERE s.state = 'live' AND substr(w.words, 1, instr(w.words, ' ') - 1) IN ('from', 'intersect', 'minus');
