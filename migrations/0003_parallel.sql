-- +goose Up

-- What the holder of a lease asks of both servers at once, as of its last renewal:
-- the page of another process shows it. It names its term, and says nothing of others.
ALTER TABLE migration ADD COLUMN parallel jsonb;
