-- +goose Up

-- Of all indexes of whole tables only primary keys begin with the migration. A ledger's
-- statistics never know the migration that began last: the planner takes its rows for
-- few, any index that begins with it for as good as the key, and reads all of a
-- migration's entries for each result. Ids of folders are of one sequence, so a name
-- needs no migration beside them, and these indexes are smaller for it.
CREATE UNIQUE INDEX file_name ON file (folder_id, name);
CREATE UNIQUE INDEX folder_name ON folder (parent_id, name);
CREATE UNIQUE INDEX folder_root ON folder (migration_id, name) WHERE parent_id IS NULL;
ALTER TABLE file DROP CONSTRAINT file_migration_id_folder_id_name_key;
ALTER TABLE folder DROP CONSTRAINT folder_migration_id_parent_id_name_key;

-- A rerun looks for what earlier migrations put into the same folder of the target.
DROP INDEX folder_target;
CREATE INDEX folder_target ON folder (target_id) WHERE target_id IS NOT NULL;
