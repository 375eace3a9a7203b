-- +goose Up

-- Large files begin before the small ones that were listed earlier; this finds them
-- among a million. Not by state: results stay updated in place (HOT), since a file's
-- size hardly ever changes with its result.
CREATE INDEX file_large ON file (migration_id, id) WHERE size >= 16777216;
