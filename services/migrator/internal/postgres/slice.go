package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"example.org/ncm/services/migrator/internal/transfer"
)

// Slice is the ledger of one migration under one term of its lease. Safe for
// concurrent use.
type Slice struct {
	ledger *Ledger
	lease  transfer.Lease
	pages  groupCommit
}

var _ transfer.Ledger = (*Slice)(nil)

// Slice binds the ledger to a lease.
func (l *Ledger) Slice(lease transfer.Lease) *Slice {
	return &Slice{ledger: l, lease: lease, pages: newGroupCommit()}
}

// lockTerm is the first statement of each write. It also makes the second one see
// the row as the last writer left it.
const lockTerm = `
	SELECT FROM migration
	WHERE id = @id AND lease_term = @term AND lease_owner = @owner
	FOR UPDATE`

func (s *Slice) write(ctx context.Context, sql string, args pgx.NamedArgs) error {
	return s.writeUnder(ctx, lockTerm, sql, args)
}

// writeUnder runs a lock and a statement, once for each args, in a single round trip,
// which Postgres takes as one transaction. The statement changes the migration's row or
// nothing.
func (s *Slice) writeUnder(ctx context.Context, lock, sql string, each ...pgx.NamedArgs) error {
	batch := &pgx.Batch{}
	batch.Queue(lock, fence(s.lease, pgx.NamedArgs{}))
	for _, args := range each {
		batch.Queue(sql, fence(s.lease, args))
	}
	results := s.ledger.pool.SendBatch(ctx, batch)
	_, err := results.Exec()
	for range each {
		if err != nil {
			break
		}
		var tag pgconn.CommandTag
		if tag, err = results.Exec(); err == nil && tag.RowsAffected() == 0 {
			err = transfer.ErrLeaseLost
		}
	}
	if closeErr := results.Close(); err == nil {
		err = closeErr
	}
	return classify(err)
}

// Folders implements transfer.Ledger.
func (s *Slice) Folders(ctx context.Context, after int64, limit int) ([]transfer.Folder, error) {
	return scan(ctx, s.ledger, selectFolder+`
		WHERE f.migration_id = @id AND f.id > @after AND f.state = 'pending'
		ORDER BY f.id
		LIMIT @limit`,
		pgx.NamedArgs{"id": s.lease.ID, "after": after, "limit": limit}, folderRow)
}

// Folder implements transfer.Ledger.
func (s *Slice) Folder(ctx context.Context, id int64) (transfer.Folder, error) {
	found, err := scan(ctx, s.ledger, selectFolder+`
		WHERE f.migration_id = @id AND f.id = @folder`,
		pgx.NamedArgs{"id": s.lease.ID, "folder": id}, folderRow)
	if err == nil && len(found) == 0 {
		err = fmt.Errorf("folder %d is not in the ledger", id)
	}
	if err != nil {
		return transfer.Folder{}, err
	}
	return found[0], nil
}

// The parent is looked up by its key: while the table has no statistics yet, the
// planner would join each page with all folders there are.
const selectFolder = `
	SELECT f.id, coalesce(f.parent_id, 0), f.name, f.path, f.mod_time, f.created_at, f.favorite, f.tags, f.attempts,
		coalesce(p.target_id, '') AS parent_target,
		coalesce(f.target_id, '') AS target_id,
		coalesce(f.target_name, '') AS target_name
	FROM folder f
	LEFT JOIN LATERAL (
		SELECT target_id
		FROM folder
		WHERE migration_id = @id AND id = f.parent_id
		OFFSET 0
	) p ON true`

func folderRow(row pgx.CollectableRow) (f transfer.Folder, err error) {
	var mod, created *time.Time
	var tags string
	err = row.Scan(&f.ID, &f.ParentID, &f.Name, &f.Path, &mod, &created, &f.Favorite, &tags, &f.Attempts,
		&f.ParentTarget, &f.TargetID, &f.TargetName)
	f.ModTime, f.CreatedAt, f.Tags = orZero(mod), orZero(created), split(tags)
	return f, err
}

// ETagAbove implements transfer.Ledger.
func (s *Slice) ETagAbove(ctx context.Context, folderID int64, path string) (string, error) {
	found, err := scan(ctx, s.ledger, `
		WITH RECURSIVE up AS (
			SELECT parent_id, path, etag
			FROM folder
			WHERE migration_id = @id AND id = @folder
			UNION ALL
			SELECT d.parent_id, d.path, d.etag
			FROM up
			CROSS JOIN LATERAL (
				SELECT parent_id, path, etag
				FROM folder
				WHERE migration_id = @id AND id = up.parent_id
				OFFSET 0
			) d
			WHERE up.path <> @path
		)
		SELECT etag FROM up WHERE path = @path`,
		pgx.NamedArgs{"id": s.lease.ID, "folder": folderID, "path": path}, pgx.RowTo[string])
	if err != nil || len(found) == 0 {
		return "", err
	}
	return found[0], nil
}

// SetTarget implements transfer.Ledger.
func (s *Slice) SetTarget(ctx context.Context, f transfer.Folder) error {
	return s.write(ctx, `
		WITH fence AS (
			SELECT id FROM migration
			WHERE id = @id AND lease_term = @term AND lease_owner = @owner
		), moved AS (
			UPDATE folder SET target_id = @target_id, target_name = nullif(@target_name, '')
			FROM fence
			WHERE folder.migration_id = @id AND folder.id = @folder
		)
		UPDATE migration SET changed = changed + 1
		FROM fence WHERE migration.id = fence.id`,
		pgx.NamedArgs{"folder": f.ID, "target_id": f.TargetID, "target_name": f.TargetName})
}

// maxEarlier is how many earlier migrations a rerun knows, the latest. A file
// that one of them found to be there counts as its own.
const maxEarlier = 20

// Files implements transfer.Ledger.
func (s *Slice) Files(ctx context.Context, after int64, limit int) ([]transfer.File, error) {
	return s.files(ctx, selectFiles, after, limit)
}

// LargeFiles implements transfer.Ledger.
func (s *Slice) LargeFiles(ctx context.Context, after int64, limit int) ([]transfer.File, error) {
	return s.files(ctx, selectLargeFiles, after, limit)
}

// LastFile implements transfer.Ledger. Ids follow the order in which files are
// committed, since each page is added under the lock of its migration.
func (s *Slice) LastFile(ctx context.Context) (id int64, err error) {
	err = s.ledger.pool.QueryRow(ctx, `
		SELECT coalesce((SELECT id FROM file WHERE migration_id = @id ORDER BY id DESC LIMIT 1), 0)`,
		pgx.NamedArgs{"id": s.lease.ID}).Scan(&id)
	return id, classify(err)
}

func (s *Slice) files(ctx context.Context, sql string, after int64, limit int) ([]transfer.File, error) {
	return scan(ctx, s.ledger, sql,
		pgx.NamedArgs{"id": s.lease.ID, "after": after, "limit": limit, "earlier": maxEarlier},
		func(row pgx.CollectableRow) (transfer.File, error) {
			var earlier transfer.Earlier
			var target *string
			var tags string
			f, err := fileRow(row, &target, &earlier.MD5, &earlier.Unchanged, &earlier.Marks.Favorite, &tags)
			if target != nil {
				earlier.TargetID, earlier.Marks.Tags = *target, split(tags)
				f.Earlier = &earlier
			}
			return f, err
		})
}

// Underway implements transfer.Ledger.
func (s *Slice) Underway(ctx context.Context, limit int) ([]transfer.File, error) {
	return scan(ctx, s.ledger, selectFile+`
		FROM (
			SELECT *, row_number() OVER (PARTITION BY attempts, `+large+` ORDER BY id) AS nth
			FROM file
			WHERE migration_id = @id AND state = 'pending'
		) AS f
		JOIN folder d ON d.migration_id = f.migration_id AND d.id = f.folder_id
		WHERE nth <= @limit OR suspects IS NOT NULL
		ORDER BY nth`,
		pgx.NamedArgs{"id": s.lease.ID, "limit": limit},
		func(row pgx.CollectableRow) (transfer.File, error) { return fileRow(row) })
}

// Copied implements transfer.Ledger. It looks up one name by keys all the way.
func (s *Slice) Copied(ctx context.Context, f transfer.File, name, targetID string) (bool, error) {
	found, err := scan(ctx, s.ledger, `
		WITH earlier AS MATERIALIZED (
			SELECT m.id, m.admitted_at
			FROM migration this
			JOIN migration m ON m.instance = this.instance AND m.source_key = this.source_key
			WHERE this.id = @id AND m.id <> @id AND m.files_done > 0 AND m.source_key <> ''
			ORDER BY m.admitted_at DESC
			LIMIT @earlier
		)
		SELECT f.target_id IS NOT DISTINCT FROM @target OR EXISTS (
			SELECT FROM (`+sameTarget+`) o
			CROSS JOIN LATERAL (`+knownFrom+`) m
			CROSS JOIN LATERAL (`+sameName+`) p
			WHERE p.target_id = @target AND p.state = 'done' AND p.source_id = f.source_id AND p.source_id <> ''
		)
		FROM folder d
		JOIN file f ON f.folder_id = d.id AND f.name = @name
		WHERE d.migration_id = @id AND d.id = @folder`,
		pgx.NamedArgs{"id": s.lease.ID, "folder": f.FolderID, "name": name, "target": targetID, "earlier": maxEarlier},
		pgx.RowTo[bool])
	return err == nil && slices.Contains(found, true), err
}

const selectFile = `
	SELECT f.id, f.name, f.folder_id, d.path, d.target_id, d.etag, f.size, f.mod_time, f.created_at,
		f.etag, f.mime, f.checksums, f.favorite, f.tags, f.attempts, f.suspects`

// fileRow reads the columns of selectFile and those that follow them.
func fileRow(row pgx.CollectableRow, more ...any) (f transfer.File, err error) {
	var mod, created *time.Time
	var tags string
	err = row.Scan(append([]any{
		&f.ID, &f.Name, &f.FolderID, &f.FolderPath, &f.FolderTarget, &f.FolderETag, &f.Size, &mod, &created,
		&f.ETag, &f.MIME, &f.Checksums, &f.Favorite, &tags, &f.Attempts, &f.Suspects,
	}, more...)...)
	f.ModTime, f.CreatedAt, f.Tags = orZero(mod), orZero(created), split(tags)
	return f, err
}

// The earlier copy of a file is looked up by keys all the way: the folders of
// earlier migrations that went to the same folder of the target, in them the name.
// The planner is left no choice of another way, such as a join of all with all, and
// no condition that finds a migration, by whose statistics it would read all of it.
// Ids of the source are compared, and mean nothing without the account.
const (
	sameTarget = `
		SELECT id, migration_id
		FROM folder
		WHERE target_id = d.target_id AND migration_id <> @id AND EXISTS (SELECT FROM earlier)
		OFFSET 0`
	knownFrom = `
		SELECT admitted_at
		FROM earlier
		WHERE id = o.migration_id
		OFFSET 0`
	sameName = `
		SELECT source_id, target_id, md5, etag, size, state, favorite, tags
		FROM file
		WHERE folder_id = o.id AND name = f.name
		OFFSET 0`
)

const (
	selectFiles      = selectBatch + withEarlier
	selectLargeFiles = selectBatch + ` AND ` + large + withEarlier
)

// large is the condition of an index, word for word; transfer.LargeFile is the number.
const large = `size >= 16777216`

const selectBatch = `
	WITH batch AS MATERIALIZED (
		SELECT *
		FROM file
		WHERE migration_id = @id AND id > @after AND state = 'pending'`

const withEarlier = `
		ORDER BY id
		LIMIT @limit
	), earlier AS MATERIALIZED (
		SELECT m.id, m.admitted_at
		FROM migration this
		JOIN migration m ON m.instance = this.instance AND m.source_key = this.source_key
		WHERE this.id = @id AND m.id <> @id AND m.files_done > 0 AND m.source_key <> ''
		ORDER BY m.admitted_at DESC
		LIMIT @earlier
	)` + selectFile + `, e.target_id, e.md5, coalesce(e.unchanged, false),
		coalesce(e.favorite, false), coalesce(e.tags, '')
	FROM batch f
	CROSS JOIN LATERAL (
		SELECT path, target_id, etag
		FROM folder
		WHERE migration_id = @id AND id = f.folder_id
		OFFSET 0
	) d
	LEFT JOIN LATERAL (
		SELECT p.target_id, p.md5, p.etag = f.etag AND (p.size = f.size OR f.size = 0) AS unchanged,
			p.favorite, p.tags
		FROM (` + sameTarget + `) o
		CROSS JOIN LATERAL (` + knownFrom + `) m
		CROSS JOIN LATERAL (` + sameName + `) p
		WHERE p.state = 'done' AND p.source_id = f.source_id AND p.source_id <> '' AND p.etag <> ''
		ORDER BY m.admitted_at DESC
		LIMIT 1
	) e ON true
	ORDER BY f.id`

func scan[T any](ctx context.Context, l *Ledger, sql string, args pgx.NamedArgs, row pgx.RowToFunc[T]) ([]T, error) {
	rows, err := l.pool.Query(ctx, sql, args)
	if err != nil {
		return nil, classify(err)
	}
	all, err := pgx.CollectRows(rows, row)
	return all, classify(err)
}

func orZero(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}

// Tags are a text of one line each, since unnest takes no array of arrays.
const tagEnd = "\n"

func split(tags string) []string {
	if tags == "" {
		return nil
	}
	return strings.Split(tags, tagEnd)
}

// columns are the children of a page, column by column as unnest wants them.
type columns struct {
	name, etag, sourceID, mime, checksums, tags []string
	skip                                        []*string
	size                                        []int64
	mod, created                                []*time.Time
	favorite                                    []bool
}

func (c *columns) add(e transfer.Entry) {
	c.name = append(c.name, e.Name)
	c.etag = append(c.etag, e.ETag)
	c.sourceID = append(c.sourceID, e.SourceID)
	c.mime = append(c.mime, e.MIME)
	c.checksums = append(c.checksums, e.Checksums)
	c.favorite = append(c.favorite, e.Favorite)
	c.tags = append(c.tags, strings.Join(e.Tags, tagEnd))
	c.size = append(c.size, max(e.Size, 0))
	c.mod = append(c.mod, timeOrNull(e.ModTime))
	c.created = append(c.created, timeOrNull(e.CreatedAt))
	var skip *string
	if e.SkipReason != "" {
		skip = &e.SkipReason
	}
	c.skip = append(c.skip, skip)
}

// AddPage implements transfer.Ledger. Pages that come while another is written go
// together after it.
func (s *Slice) AddPage(ctx context.Context, p transfer.Page) error {
	var folders, files columns
	for _, e := range p.Entries {
		if e.Folder {
			folders.add(e)
		} else {
			files.add(e)
		}
	}
	prefix := p.Folder.Path
	if prefix != "" {
		prefix += "/"
	}
	args := pgx.NamedArgs{
		"folder": p.Folder.ID, "prefix": prefix, "complete": p.Complete, "etag": p.ETag,
		"target_id": p.Folder.TargetID, "target_name": p.Folder.TargetName,
		"d_name": folders.name, "d_mod": folders.mod, "d_source": folders.sourceID, "d_skip": folders.skip, "d_size": folders.size,
		"d_created": folders.created, "d_favorite": folders.favorite, "d_tags": folders.tags,
		"f_name": files.name, "f_size": files.size, "f_mod": files.mod, "f_created": files.created,
		"f_etag": files.etag, "f_source": files.sourceID, "f_mime": files.mime,
		"f_checksums": files.checksums, "f_skip": files.skip, "f_favorite": files.favorite, "f_tags": files.tags,
	}
	return s.pages.write(ctx, args, func(all []pgx.NamedArgs) error { return s.writeUnder(ctx, lockTerm, addPage, all...) })
}

// mostBytes is where a sum of sizes stays: no JSON tells more exactly, and a source
// that lists nonsense must not end in a number that no column holds.
const mostBytes = "9007199254740991"

const addPage = `
	WITH fence AS (
		SELECT id FROM migration
		WHERE id = @id AND lease_term = @term AND lease_owner = @owner
	), new_folders AS (
		INSERT INTO folder (migration_id, parent_id, name, path, mod_time, created_at, source_id, favorite, tags, state, reason)
		SELECT fence.id, @folder, name, @prefix || name, mod_time, created_at, source_id, favorite, tags,
			CASE WHEN skip IS NULL THEN 'pending' ELSE 'skipped' END, skip
		FROM fence, unnest(@d_name::text[], @d_mod::timestamptz[], @d_created::timestamptz[], @d_source::text[],
				@d_favorite::bool[], @d_tags::text[], @d_skip::text[])
			AS d (name, mod_time, created_at, source_id, favorite, tags, skip)
		ON CONFLICT DO NOTHING
		RETURNING path, state, reason
	), new_files AS (
		INSERT INTO file (migration_id, folder_id, name, size, mod_time, created_at, etag,
			source_id, mime, checksums, favorite, tags, state, reason, finished_at)
		SELECT fence.id, @folder, name, size, mod_time, created_at, etag, source_id, mime, checksums, favorite, tags,
			CASE WHEN skip IS NULL THEN 'pending' ELSE 'skipped' END, skip,
			CASE WHEN skip IS NOT NULL THEN now() END
		FROM fence, unnest(@f_name::text[], @f_size::bigint[], @f_mod::timestamptz[], @f_created::timestamptz[],
				@f_etag::text[], @f_source::text[], @f_mime::text[], @f_checksums::text[],
				@f_favorite::bool[], @f_tags::text[], @f_skip::text[])
			AS f (name, size, mod_time, created_at, etag, source_id, mime, checksums, favorite, tags, skip)
		ON CONFLICT DO NOTHING
		RETURNING @prefix || name AS path, size, state, reason
	), noticed AS (
		INSERT INTO notice (migration_id, kind, path, reason, size)
		SELECT @id, 'skipped', path, reason, size FROM new_files WHERE state = 'skipped'
		UNION ALL
		SELECT @id, 'skipped', path, reason, coalesce((
			SELECT d.size FROM unnest(@d_name::text[], @d_size::bigint[]) AS d (name, size)
			WHERE @prefix || d.name = new_folders.path LIMIT 1), 0)
		FROM new_folders WHERE state = 'skipped'
	), listed AS (
		UPDATE folder SET
			target_id = @target_id,
			target_name = nullif(@target_name, ''),
			etag = CASE WHEN folder.etag = '' THEN @etag ELSE folder.etag END,
			state = CASE WHEN @complete THEN 'listed' ELSE state END,
			reason = CASE WHEN @complete THEN NULL ELSE reason END
		FROM fence
		WHERE folder.migration_id = @id AND folder.id = @folder AND folder.state = 'pending'
		RETURNING folder.state
	)
	UPDATE migration SET
		folders_total = folders_total + (SELECT count(*) FROM new_folders),
		folders_skipped = folders_skipped + (SELECT count(*) FROM new_folders WHERE state = 'skipped'),
		folders_listed = folders_listed + (SELECT count(*) FROM listed WHERE state = 'listed'),
		files_total = files_total + (SELECT count(*) FROM new_files),
		files_skipped = files_skipped + (SELECT count(*) FROM new_files WHERE state = 'skipped'),
		bytes_total = least(bytes_total + (SELECT coalesce(sum(size), 0) FROM new_files WHERE state = 'pending'), ` + mostBytes + `),
		progressed_at = now(),
		changed = changed + 1
	FROM fence WHERE migration.id = fence.id`

// RecordFolder implements transfer.Ledger.
func (s *Slice) RecordFolder(ctx context.Context, r transfer.FolderResult) error {
	return s.write(ctx, `
		WITH fence AS (
			SELECT id FROM migration
			WHERE id = @id AND lease_term = @term AND lease_owner = @owner
		), recorded AS (
			UPDATE folder SET
				attempts = attempts + 1,
				reason = @reason,
				state = CASE WHEN @failed THEN 'failed' ELSE state END
			FROM fence
			WHERE folder.migration_id = @id AND folder.id = @folder AND folder.state = 'pending'
			RETURNING folder.state, path
		), noticed AS (
			INSERT INTO notice (migration_id, kind, path, reason)
			SELECT @id, 'failed', path, @reason FROM recorded WHERE state = 'failed'
		)
		UPDATE migration SET
			folders_failed = folders_failed + (SELECT count(*) FROM recorded WHERE state = 'failed'),
			changed = changed + 1
		FROM fence WHERE migration.id = fence.id`,
		pgx.NamedArgs{"folder": r.Folder.ID, "reason": string(r.Reason), "failed": r.Outcome == transfer.Failed})
}

// Suspect implements transfer.Ledger.
func (s *Slice) Suspect(ctx context.Context, fileID int64, targetID string) error {
	return s.write(ctx, `
		WITH fence AS (
			SELECT id FROM migration
			WHERE id = @id AND lease_term = @term AND lease_owner = @owner
		), suspected AS (
			UPDATE file SET suspects = array_append(suspects, @target_id)
			FROM fence
			WHERE file.migration_id = @id AND file.id = @file AND file.state = 'pending'
				AND @target_id <> ALL (coalesce(suspects, '{}'))
		)
		UPDATE migration SET changed = changed + 1
		FROM fence WHERE migration.id = fence.id`,
		pgx.NamedArgs{"file": fileID, "target_id": targetID})
}

// Record implements transfer.Ledger.
func (s *Slice) Record(ctx context.Context, results []transfer.Result) error {
	return s.writeUnder(ctx, lockTerm, record, resultRows(results))
}

// RecordLate implements transfer.Ledger.
func (s *Slice) RecordLate(ctx context.Context, results []transfer.Result) error {
	return s.writeUnder(ctx, lockOver, recordLate, resultRows(results))
}

func resultRows(results []transfer.Result) pgx.NamedArgs {
	n := len(results)
	ids, sizes, listed := make([]int64, 0, n), make([]int64, 0, n), make([]int64, 0, n)
	outcomes, paths, reasons := make([]string, 0, n), make([]string, 0, n), make([]string, 0, n)
	targets, names, notes := make([]string, 0, n), make([]string, 0, n), make([]string, 0, n)
	sums := make([][]byte, 0, n)
	for _, r := range results {
		ids, outcomes, paths = append(ids, r.File.ID), append(outcomes, string(r.Outcome)), append(paths, r.File.Path())
		sizes, listed, sums = append(sizes, r.Size), append(listed, r.File.Size), append(sums, r.MD5)
		targets, names = append(targets, r.TargetID), append(names, r.TargetName)
		reason := string(r.Reason)
		if r.Outcome == transfer.Skipped {
			reason = r.Reason.Message() // as words, like those of the source
		}
		reasons, notes = append(reasons, reason), append(notes, r.Note)
	}
	return pgx.NamedArgs{
		"r_id": ids, "r_outcome": outcomes, "r_path": paths, "r_size": sizes, "r_listed": listed, "r_md5": sums,
		"r_target": targets, "r_name": names, "r_reason": reasons, "r_note": notes,
	}
}

const record = `
	WITH fence AS (
		SELECT id FROM migration
		WHERE id = @id AND lease_term = @term AND lease_owner = @owner
	)` + recordRows

// lockOver is lockTerm where nobody holds the migration any more.
const lockOver = `
	SELECT FROM migration
	WHERE id = @id AND finished_at IS NOT NULL
	FOR UPDATE`

const recordLate = `
	WITH fence AS (
		SELECT id FROM migration
		WHERE id = @id AND finished_at IS NOT NULL AND purged_at IS NULL
	)` + recordRows

const recordRows = `, recorded AS (
		UPDATE file SET
			state = CASE r.outcome WHEN 'postponed' THEN 'pending' ELSE r.outcome END,
			attempts = attempts + CASE WHEN r.outcome IN ('postponed', 'failed') THEN 1 ELSE 0 END,
			size = CASE WHEN r.outcome = 'done' THEN r.size ELSE file.size END,
			md5 = r.md5,
			target_id = nullif(r.target_id, ''),
			target_name = nullif(r.target_name, ''),
			reason = nullif(r.reason, ''),
			note = nullif(r.note, ''),
			finished_at = CASE WHEN r.outcome <> 'postponed' THEN now() END
		-- Each row is looked up by its key, then changed where it lies: left to
		-- itself the planner joins the batch with all that is pending.
		FROM (
			SELECT there.ctid AS place, r.*
			FROM fence, unnest(@r_id::bigint[], @r_outcome::text[], @r_path::text[], @r_size::bigint[], @r_listed::bigint[],
					@r_md5::bytea[], @r_target::text[], @r_name::text[], @r_reason::text[], @r_note::text[])
				AS r (id, outcome, path, size, listed, md5, target_id, target_name, reason, note),
			LATERAL (
				SELECT f.ctid FROM file f
				WHERE f.migration_id = @id AND f.id = r.id AND f.state = 'pending'
				OFFSET 0
			) AS there
		) AS r
		WHERE file.ctid = r.place
		RETURNING file.state, r.path, file.reason, file.size, r.listed
	), noticed AS (
		INSERT INTO notice (migration_id, kind, path, reason, size)
		SELECT @id, state, path, reason, size FROM recorded WHERE state IN ('failed', 'skipped')
	), sums AS (
		SELECT
			count(*) FILTER (WHERE state = 'done') AS done,
			count(*) FILTER (WHERE state = 'failed') AS failed,
			count(*) FILTER (WHERE state = 'skipped') AS skipped,
			coalesce(sum(size) FILTER (WHERE state = 'done'), 0) AS bytes,
			coalesce(sum(size - listed) FILTER (WHERE state = 'done'), 0) AS grown
		FROM recorded
	)
	UPDATE migration SET
		files_done = files_done + sums.done,
		files_failed = files_failed + sums.failed,
		files_skipped = files_skipped + sums.skipped,
		bytes_done = bytes_done + sums.bytes,
		bytes_total = least(bytes_total + sums.grown, ` + mostBytes + `),
		pauses = CASE WHEN sums.done > 0 THEN 0 ELSE pauses END,
		pause_reason = CASE WHEN sums.done > 0 THEN NULL ELSE pause_reason END,
		progressed_at = CASE WHEN sums.done + sums.failed + sums.skipped > 0 THEN now() ELSE progressed_at END,
		mirror_due_at = CASE WHEN finished_at IS NULL THEN mirror_due_at ELSE now() END,
		changed = changed + 1
	FROM fence, sums WHERE migration.id = fence.id`
