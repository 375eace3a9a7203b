package postgres

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"example.org/ncm/services/migrator/internal/transfer"
)

// linesPage is how many rows of the report are read at once. PostgreSQL compares
// each with the folders of its page, so that larger pages cost more than they save.
const linesPage = 500

// Lines gives entries of a migration to yield: folders first, then files, each in
// the order of their ids. An error of yield ends it and is returned as it is.
func (l *Ledger) Lines(ctx context.Context, id string, which transfer.Lines, yield func(transfer.Line) error) error {
	const named = `target_name IS NOT NULL`
	problem := `(state IN ('failed', 'skipped') OR ` + named + `%s)`
	var folders, files string
	switch which {
	case transfer.LinesFailed, transfer.LinesSkipped:
		folders = `state = '` + string(which) + `'`
		files = folders
	case transfer.LinesRenamed:
		folders, files = named, `state = 'done' AND `+named
	case transfer.LinesProblems:
		folders, files = fmt.Sprintf(problem, ""), fmt.Sprintf(problem, ` OR note IS NOT NULL`)
	case transfer.LinesRest:
		folders, files = `false`, `NOT `+fmt.Sprintf(problem, ` OR note IS NOT NULL`)
	default:
		return fmt.Errorf("no such choice of lines: %q", which)
	}
	for _, query := range []string{strings.Replace(folderLines, "@which", folders, 1), strings.Replace(fileLines, "@which", files, 1)} {
		if err := l.eachLine(ctx, query, id, yield); err != nil {
			return err
		}
	}
	return nil
}

// Report notes under which name a report with that MD5 is about to be written.
func (l *Ledger) Report(ctx context.Context, lease transfer.Lease, name string, md5 []byte) error {
	return l.fenced(ctx, `
		UPDATE migration SET
			report_name = @name,
			report_md5 = @md5
		WHERE id = @id AND lease_term = @term AND lease_owner = @owner`,
		fence(lease, pgx.NamedArgs{"name": name, "md5": md5}))
}

// lineRow is what both queries give.
type lineRow struct {
	ID, Size                int64
	Path, State, TargetPath string
	Reason, Note            *string
	MD5                     []byte
	Folder, Renamed         bool
}

func (l *Ledger) eachLine(ctx context.Context, query, id string, yield func(transfer.Line) error) error {
	for after := int64(0); ; {
		rows, err := many[lineRow](ctx, l, query, pgx.NamedArgs{"id": id, "after": after, "limit": linesPage})
		if err != nil || len(rows) == 0 {
			return err
		}
		for _, r := range rows {
			line := transfer.Line{
				Path: r.Path, Folder: r.Folder, Reason: orEmpty(r.Reason), Note: orEmpty(r.Note), Size: r.Size, MD5: r.MD5,
				TargetPath: r.TargetPath, Renamed: r.Renamed,
			}
			switch r.State {
			case "failed":
				line.Outcome = transfer.Failed
			case "skipped":
				line.Outcome = transfer.Skipped
			case "done", "listed":
				line.Outcome = transfer.Done
			default:
				line.Outcome = transfer.Postponed
			}
			if err := yield(line); err != nil {
				return err
			}
		}
		after = rows[len(rows)-1].ID
	}
}

func orEmpty(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// targetPaths continues a query whose rows of page name a folder: up gives the
// path of each of these in the target, put together from the names there.
const targetPaths = `, up AS (
		SELECT d.id AS leaf, d.parent_id, coalesce(d.target_name, d.name) AS path
		FROM folder d
		WHERE d.migration_id = @id AND d.id IN (SELECT folder_id FROM page)
		UNION ALL
		SELECT up.leaf, d.parent_id, coalesce(d.target_name, d.name) || '/' || up.path
		FROM up
		CROSS JOIN LATERAL (
			SELECT parent_id, name, target_name
			FROM folder
			WHERE migration_id = @id AND id = up.parent_id
			OFFSET 0
		) d
	)`

const folderLines = `
	WITH RECURSIVE page AS MATERIALIZED (
		SELECT id AS folder_id, path, state, reason, target_name
		FROM folder
		WHERE migration_id = @id AND id > @after AND @which
		ORDER BY id
		LIMIT @limit
	)` + targetPaths + `
	SELECT f.folder_id AS id, f.path, f.state, f.reason, NULL::text AS note, 0::bigint AS size, NULL::bytea AS md5,
		ltrim(up.path, '/') AS target_path, true AS folder, f.target_name IS NOT NULL AS renamed
	FROM page f
	JOIN up ON up.leaf = f.folder_id AND up.parent_id IS NULL
	ORDER BY f.folder_id`

const fileLines = `
	WITH RECURSIVE page AS MATERIALIZED (
		SELECT id, folder_id, name, state, reason, note, size, md5, target_name
		FROM file
		WHERE migration_id = @id AND id > @after AND @which
		ORDER BY id
		LIMIT @limit
	)` + targetPaths + `
	SELECT f.id, CASE WHEN d.path = '' THEN '' ELSE d.path || '/' END || f.name AS path, f.state, f.reason, f.note, f.size,
		CASE WHEN f.state = 'done' THEN f.md5 END AS md5,
		ltrim(up.path || '/' || coalesce(f.target_name, f.name), '/') AS target_path,
		false AS folder, f.target_name IS NOT NULL AS renamed
	FROM page f
	JOIN folder d ON d.migration_id = @id AND d.id = f.folder_id
	JOIN up ON up.leaf = f.folder_id AND up.parent_id IS NULL
	ORDER BY f.id`
