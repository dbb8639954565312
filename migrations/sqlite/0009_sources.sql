-- Rows that were read and left out on purpose, before the sums, by the step that left them out:
-- {"minus first-wave (told)": 7000}.
ALTER TABLE seal ADD COLUMN excluded TEXT NOT NULL DEFAULT '{}';
