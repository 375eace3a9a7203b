package sides_test

import (
	"encoding/json"

	"example.org/ncm/test/rig"
)

// migrationRow is the ledger's row of a migration.
type migrationRow struct {
	State         string `json:"state"`
	FailureReason string `json:"failure_reason"`
	PauseReason   string `json:"pause_reason"`
	Pauses        int    `json:"pauses"`
	LeaseOwner    string `json:"lease_owner"`
	LeaseTerm     int64  `json:"lease_term"`
	// Wait is how long until the migration is due again, in seconds.
	Wait float64 `json:"wait"`

	FilesTotal     int64 `json:"files_total"`
	FilesDone      int64 `json:"files_done"`
	FilesFailed    int64 `json:"files_failed"`
	FilesSkipped   int64 `json:"files_skipped"`
	FoldersTotal   int64 `json:"folders_total"`
	FoldersListed  int64 `json:"folders_listed"`
	FoldersFailed  int64 `json:"folders_failed"`
	FoldersSkipped int64 `json:"folders_skipped"`
	BytesExpected  int64 `json:"bytes_expected"`
	BytesTotal     int64 `json:"bytes_total"`
	BytesDone      int64 `json:"bytes_done"`
	Changed        int64 `json:"changed"`
	Mirrored       int64 `json:"mirrored"`
}

// fileRow is the ledger's row of a file.
type fileRow struct {
	Path       string `json:"path"`
	State      string `json:"state"`
	Size       int64  `json:"size"`
	MD5        string `json:"md5"`
	Attempts   int    `json:"attempts"`
	TargetID   string `json:"target_id"`
	TargetName string `json:"target_name"` // where it differs from the name
	Note       string `json:"note"`
}

type noticeRow struct {
	Kind   string `json:"kind"`
	Path   string `json:"path"`
	Reason string `json:"reason"`
}

// value asks the ledger, whose one connection is shared by the stage's scenes.
func value[T any](c *scene, sql string, args ...any) T {
	c.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	return rig.Value[T](c.t, c.Ledger, sql, args...)
}

// rows decodes what a query gives as one JSON value.
func rows[T any](c *scene, sql string) (all T) {
	c.t.Helper()
	decode(c.t, value[json.RawMessage](c, sql, c.id), &all)
	return all
}

func (c *scene) row() migrationRow {
	c.t.Helper()
	return rows[migrationRow](c, `
		SELECT to_jsonb(m) || jsonb_build_object('wait', extract(epoch FROM due_at - clock_timestamp()))
		FROM migration m WHERE id = $1
		UNION ALL SELECT '{}' LIMIT 1`)
}

func (c *scene) fileRows() []fileRow {
	c.t.Helper()
	return rows[[]fileRow](c, `
		SELECT coalesce(jsonb_agg(jsonb_build_object(
			'path', CASE d.path WHEN '' THEN f.name ELSE d.path || '/' || f.name END,
			'state', f.state, 'size', f.size, 'md5', encode(f.md5, 'hex'), 'attempts', f.attempts,
			'target_id', f.target_id, 'target_name', f.target_name, 'note', f.note)), '[]')
		FROM file f JOIN folder d ON d.migration_id = f.migration_id AND d.id = f.folder_id
		WHERE f.migration_id = $1`)
}

func (c *scene) noticeRows(kind string) []noticeRow {
	c.t.Helper()
	all := rows[[]noticeRow](c, `
		SELECT coalesce(jsonb_agg(jsonb_build_object('kind', kind, 'path', path, 'reason', reason) ORDER BY id), '[]')
		FROM notice WHERE migration_id = $1`)
	var found []noticeRow
	for _, n := range all {
		if n.Kind == kind {
			found = append(found, n)
		}
	}
	return found
}

// sums are what the rows of files and folders add up to.
func (c *scene) sums() migrationRow {
	c.t.Helper()
	return rows[migrationRow](c, `
		SELECT (SELECT jsonb_build_object(
				'files_total', count(*),
				'files_done', count(*) FILTER (WHERE state = 'done'),
				'files_failed', count(*) FILTER (WHERE state = 'failed'),
				'files_skipped', count(*) FILTER (WHERE state = 'skipped'),
				'bytes_total', coalesce(sum(size) FILTER (WHERE state <> 'skipped'), 0),
				'bytes_done', coalesce(sum(size) FILTER (WHERE state = 'done'), 0))
			FROM file WHERE migration_id = $1)
		|| (SELECT jsonb_build_object(
				'folders_total', count(*),
				'folders_listed', count(*) FILTER (WHERE state = 'listed'),
				'folders_failed', count(*) FILTER (WHERE state = 'failed'),
				'folders_skipped', count(*) FILTER (WHERE state = 'skipped'))
			FROM folder WHERE migration_id = $1)`)
}

// attempts is the most passes that an entry was charged with.
func (c *scene) attempts() int64 {
	c.t.Helper()
	return value[int64](c, `
		SELECT coalesce(max(attempts), 0)::bigint FROM (
			SELECT attempts FROM file WHERE migration_id = $1
			UNION ALL SELECT attempts FROM folder WHERE migration_id = $1) e`, c.id)
}
