package cozy

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// trashPath is the folder of what was thrown away. New files are refused in it,
// new folders are not.
const trashPath = "/.cozy_trash"

// File is a file or folder of an instance.
type File struct {
	ID         string
	Name       string
	DirID      string // the folder that it is in
	Folder     bool
	Size       int64  // bytes
	MD5        []byte // 16 bytes; nil of a folder
	MIME       string
	Executable bool
	Tags       []string
	Metadata   json.RawMessage // what apps and the stack know of the content; nil when there is none
	Trashed    bool            // it or a folder above it is in the trash
	Rev        string          // changes with everything that is said of the file
	CreatedAt  time.Time
	UpdatedAt  time.Time
}

// Times are the dates of a file or folder; a zero one is left to the stack. An
// UpdatedAt before the CreatedAt is stored and makes the file unchangeable.
type Times struct {
	CreatedAt time.Time
	UpdatedAt time.Time
}

// fileJSON is what is read of a file; the stack says a lot more.
type fileJSON struct {
	ID         string `json:"id"`
	Attributes struct {
		Type       string    `json:"type"`
		Name       string    `json:"name"`
		DirID      string    `json:"dir_id"`
		Path       string    `json:"path"`
		Size       string    `json:"size"`
		MD5        string    `json:"md5sum"`
		MIME       string    `json:"mime"`
		Executable bool      `json:"executable"`
		Trashed    bool      `json:"trashed"`
		Tags       []string  `json:"tags"`
		CreatedAt  time.Time `json:"created_at"`
		UpdatedAt  time.Time `json:"updated_at"`

		Metadata json.RawMessage `json:"metadata"`
	} `json:"attributes"`
	Meta struct {
		Rev string `json:"rev"`
	} `json:"meta"`
}

func (j *fileJSON) file(op string) (File, error) {
	a := &j.Attributes
	f := File{
		ID: j.ID, Name: a.Name, DirID: a.DirID, Folder: a.Type == "directory",
		MIME: a.MIME, Executable: a.Executable, Tags: a.Tags, Metadata: a.Metadata, Rev: j.Meta.Rev,
		Trashed:   a.Trashed || a.Path == trashPath || strings.HasPrefix(a.Path, trashPath+"/"),
		CreatedAt: a.CreatedAt, UpdatedAt: a.UpdatedAt,
	}
	if f.ID == "" {
		return File{}, fmt.Errorf("%s: %w: no id", op, ErrAnswer)
	}
	if f.Folder {
		return f, nil
	}
	var err error
	if f.Size, err = strconv.ParseInt(a.Size, 10, 64); err != nil {
		return File{}, fmt.Errorf("%s: %w: no size", op, ErrAnswer)
	}
	if f.MD5, err = base64.StdEncoding.DecodeString(a.MD5); err != nil || len(f.MD5) != 16 {
		return File{}, fmt.Errorf("%s: %w: no md5sum", op, ErrAnswer)
	}
	return f, nil
}

// MakeDir creates a folder in the folder parentID. IsConflict tells a taken
// name, IsNotFound a missing parent. In a parent that is in the trash it
// succeeds, and the File says Trashed. Tags may hold no comma and no space at
// either end.
func (i *Instance) MakeDir(ctx context.Context, parentID, name string, times Times, tags ...string) (File, error) {
	const op = "create folder"
	query := appendEscaped([]byte("?Type=directory&Name="), name)
	query = appendTimes(query, times)
	query = appendTags(query, tags)
	return i.file(ctx, call{op: op, method: http.MethodPost, path: filePath(parentID) + string(query)})
}

// FileByID reads a file or folder.
func (i *Instance) FileByID(ctx context.Context, id string) (File, error) {
	return i.file(ctx, call{op: "get file", method: http.MethodGet, path: filePath(id)})
}

// FilesByID reads many files and folders with one request, by their ids. Those
// that do not exist are left out; those in the trash are not.
func (i *Instance) FilesByID(ctx context.Context, ids []string) ([]File, error) {
	const op = "get files"
	body, err := json.Marshal(map[string][]string{"keys": ids})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", op, err)
	}
	var answer struct {
		Data []fileJSON `json:"data"`
	}
	c := call{
		op: op, method: http.MethodPost, path: "/files/_all_docs",
		body: body, contentType: "application/json", most: maxDocs,
	}
	if err := i.do(ctx, c, &answer); err != nil {
		return nil, err
	}
	files := make([]File, 0, len(answer.Data))
	for k := range answer.Data {
		f, err := answer.Data[k].file(op)
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	return files, nil
}

// AddMetadata stores what is known of a content, to be named by the Upload of
// that content. The stack forgets it after a while.
func (i *Instance) AddMetadata(ctx context.Context, metadata json.RawMessage) (id string, err error) {
	const op = "add metadata"
	body, err := json.Marshal(map[string]any{
		"data": map[string]any{"type": "io.cozy.files.metadata", "attributes": metadata},
	})
	if err != nil {
		return "", fmt.Errorf("%s: %w", op, err)
	}
	var answer struct {
		Data struct {
			ID string `json:"id"`
		} `json:"data"`
	}
	err = i.do(ctx, call{
		op: op, method: http.MethodPost, path: "/files/upload/metadata",
		body: body, contentType: "application/vnd.api+json", most: maxFiles,
	}, &answer)
	return answer.Data.ID, err
}

// FileByPath reads a file or folder by its absolute path. The stack finds the
// composed form of a name for the decomposed one too: where both may exist, go
// by id and FindInDir.
func (i *Instance) FileByPath(ctx context.Context, path string) (File, error) {
	query := appendEscaped([]byte("/files/metadata?Path="), path)
	return i.file(ctx, call{op: "get file by path", method: http.MethodGet, path: string(query)})
}

// Trash moves a file or folder to the trash.
func (i *Instance) Trash(ctx context.Context, id string) error {
	return i.do(ctx, call{op: "trash file", method: http.MethodDelete, path: filePath(id), most: maxFiles}, nil)
}

// Destroy deletes a file or folder for good, whether or not it is in the trash.
func (i *Instance) Destroy(ctx context.Context, id string) error {
	path := "/files/trash/" + url.PathEscape(id)
	return i.do(ctx, call{op: "destroy file", method: http.MethodDelete, path: path, most: maxFiles}, nil)
}

// PatchTimes changes the dates of a file. The stack refuses (422) an UpdatedAt
// before the file's CreatedAt.
func (i *Instance) PatchTimes(ctx context.Context, id string, times Times) (File, error) {
	const op = "change dates"
	attributes := map[string]string{}
	if !times.CreatedAt.IsZero() {
		attributes["created_at"] = times.CreatedAt.UTC().Format(time.RFC3339Nano)
	}
	if !times.UpdatedAt.IsZero() {
		attributes["updated_at"] = times.UpdatedAt.UTC().Format(time.RFC3339Nano)
	}
	return i.patch(ctx, op, id, "", attributes)
}

// Marks are what a user puts on a file or folder.
type Marks struct {
	Favorite bool     // false: it stays what it is
	Tags     []string // nil: they stay as they are
	Rev      string   // that the file has to be at still, as of Replace; empty: whatever it is
}

// PatchMarks changes the marks of a file or folder; its dates stay.
func (i *Instance) PatchMarks(ctx context.Context, id string, m Marks) (File, error) {
	attributes := map[string]any{}
	if m.Favorite {
		attributes["cozyMetadata"] = map[string]bool{"favorite": true}
	}
	if m.Tags != nil {
		attributes["tags"] = m.Tags
	}
	return i.patch(ctx, "change marks", id, m.Rev, attributes)
}

func (i *Instance) patch(ctx context.Context, op, id, rev string, attributes any) (File, error) {
	body, err := json.Marshal(map[string]any{
		"data": map[string]any{"type": "io.cozy.files", "id": id, "attributes": attributes},
	})
	if err != nil {
		return File{}, fmt.Errorf("%s: %w", op, err)
	}
	return i.file(ctx, call{
		op: op, method: http.MethodPatch, path: filePath(id), rev: rev,
		body: body, contentType: "application/vnd.api+json",
	})
}

// file sends a call that is answered with one file or folder.
func (i *Instance) file(ctx context.Context, c call) (File, error) {
	c.most = maxFiles
	var answer struct {
		Data fileJSON `json:"data"`
	}
	if err := i.do(ctx, c, &answer); err != nil {
		return File{}, err
	}
	return answer.Data.file(c.op)
}

// Usage is how full an instance is, in bytes.
type Usage struct {
	Used  int64 // old versions of files included
	Quota int64 // 0: unlimited
}

// DiskUsage reads how full the instance is.
func (i *Instance) DiskUsage(ctx context.Context) (Usage, error) {
	const op = "read disk usage"
	var answer struct {
		Data struct {
			Attributes struct {
				Used  string `json:"used"`
				Quota string `json:"quota"`
			} `json:"attributes"`
		} `json:"data"`
	}
	c := call{op: op, method: http.MethodGet, path: "/settings/disk-usage", most: maxFiles}
	if err := i.do(ctx, c, &answer); err != nil {
		return Usage{}, err
	}
	var usage Usage
	var err error
	if usage.Used, err = strconv.ParseInt(answer.Data.Attributes.Used, 10, 64); err != nil {
		return Usage{}, fmt.Errorf("%s: %w: used is not a number", op, ErrAnswer)
	}
	if answer.Data.Attributes.Quota == "" {
		return usage, nil
	}
	if usage.Quota, err = strconv.ParseInt(answer.Data.Attributes.Quota, 10, 64); err != nil {
		return Usage{}, fmt.Errorf("%s: %w: quota is not a number", op, ErrAnswer)
	}
	return usage, nil
}

func filePath(id string) string { return "/files/" + url.PathEscape(id) }

// appendEscaped escapes every byte but the unreserved ones, so that a name
// arrives as it is: no plus for a space, no byte taken for a separator.
func appendEscaped(dst []byte, s string) []byte {
	const hex = "0123456789ABCDEF"
	for k := range len(s) {
		switch b := s[k]; {
		case 'a' <= b && b <= 'z', 'A' <= b && b <= 'Z', '0' <= b && b <= '9',
			b == '-', b == '.', b == '_', b == '~':
			dst = append(dst, b)
		default:
			dst = append(dst, '%', hex[b>>4], hex[b&15])
		}
	}
	return dst
}

func appendTags(dst []byte, tags []string) []byte {
	if len(tags) == 0 {
		return dst
	}
	return appendEscaped(append(dst, "&Tags="...), strings.Join(tags, ","))
}

// appendTimes sends dates in UTC: an offset's plus sign is lost in a query.
func appendTimes(dst []byte, times Times) []byte {
	if !times.CreatedAt.IsZero() {
		dst = append(dst, "&CreatedAt="...)
		dst = times.CreatedAt.UTC().AppendFormat(dst, time.RFC3339Nano)
	}
	if !times.UpdatedAt.IsZero() {
		dst = append(dst, "&UpdatedAt="...)
		dst = times.UpdatedAt.UTC().AppendFormat(dst, time.RFC3339Nano)
	}
	return dst
}
