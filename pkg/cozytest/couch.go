package cozytest

import (
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// dataStore holds an instance's documents, one database for each doctype.
type dataStore struct {
	inst *Instance
	mu   sync.Mutex
	dbs  map[string]*database
}

// database holds the documents of one doctype. It exists, as far as answers
// go, once something was written or an index is there.
type database struct {
	inst    *Instance
	doctype string

	mu      sync.RWMutex
	docs    map[string]*doc
	indexes map[string]index // by name
	seq     int
}

// doc is one state of a document. Its body is never changed, only replaced.
type doc struct {
	id      string
	rev     string
	body    map[string]any // without _id, _rev and _type
	deleted bool
	seq     int
}

const maxDocumentSize = 8_000_000 // bytes, the database's default

func newDataStore(inst *Instance) *dataStore {
	s := &dataStore{inst: inst, dbs: make(map[string]*database)}
	migrations := s.database(doctypeMigrations)
	migrations.addIndex("by-status", []string{"status"})
	return s
}

func (s *dataStore) database(doctype string) *database {
	s.mu.Lock()
	defer s.mu.Unlock()
	db := s.dbs[doctype]
	if db == nil {
		db = &database{
			inst: s.inst, doctype: doctype,
			docs: make(map[string]*doc), indexes: make(map[string]index),
		}
		s.dbs[doctype] = db
	}
	return db
}

func (db *database) exists() bool { return len(db.docs) > 0 || len(db.indexes) > 0 }

func noDatabase() error {
	return couchError(http.StatusNotFound, "not_found", "Database does not exist.")
}

func (db *database) get(id string) (doc, error) {
	db.mu.RLock()
	defer db.mu.RUnlock()
	switch d := db.docs[id]; {
	case !db.exists():
		return doc{}, couchError(http.StatusNotFound, "not_found", "wrong_doctype")
	case d == nil:
		return doc{}, couchError(http.StatusNotFound, "not_found", "missing")
	case d.deleted:
		return doc{}, couchError(http.StatusNotFound, "not_found", "deleted")
	default:
		return *d, nil
	}
}

// mustHave is asked before an update; a deleted document may come back.
func (db *database) mustHave(id string) error {
	db.mu.RLock()
	defer db.mu.RUnlock()
	if db.docs[id] == nil {
		return couchError(http.StatusNotFound, "not_found", "missing")
	}
	return nil
}

// put writes a document over the revision given, or a new one with none.
func (db *database) put(id, rev string, body map[string]any) (doc, error) {
	stripSystemFields(body)
	text, err := json.Marshal(body)
	if err != nil {
		return doc{}, err
	}
	if len(text) > maxDocumentSize {
		return doc{}, couchError(http.StatusRequestEntityTooLarge, "document_too_large", id)
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	old := db.docs[id]
	if err := checkRevision(old, rev); err != nil {
		return doc{}, err
	}
	saved := &doc{id: id, rev: nextRevision(old, text), body: body}
	event := eventUpdated
	if old == nil || old.deleted {
		event = eventCreated
	}
	db.store(saved)
	db.announce(event, saved)
	return *saved, nil
}

func (db *database) remove(id, rev string) (string, error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	old := db.docs[id]
	if old == nil || old.deleted {
		return "", couchError(http.StatusNotFound, "not_found", "missing")
	}
	if err := checkRevision(old, rev); err != nil {
		return "", err
	}
	gone := &doc{id: id, rev: nextRevision(old, []byte("deleted")), body: old.body, deleted: true}
	db.store(gone)
	db.announce(eventDeleted, gone)
	return gone.rev, nil
}

func (db *database) store(d *doc) {
	db.seq++
	d.seq = db.seq
	db.docs[d.id] = d
}

func (db *database) announce(event string, d *doc) {
	db.inst.hub.publish(event, db.doctype, d.id, func() any {
		fields := maps.Clone(d.body)
		fields["_id"], fields["_rev"] = d.id, d.rev
		return fields
	})
}

var revisionShape = regexp.MustCompile(`^[0-9]+-[0-9a-f]+$`)

func checkRevision(old *doc, rev string) error {
	if rev != "" && !revisionShape.MatchString(rev) {
		return couchError(http.StatusBadRequest, "bad_request", "Invalid rev format")
	}
	current := ""
	if old != nil {
		current = old.rev
	}
	if rev == current || rev == "" && old.deleted {
		return nil
	}
	return couchError(http.StatusConflict, "conflict", "Document update conflict.")
}

// nextRevision depends on nothing but the document's history: equal histories
// give equal revisions.
func nextRevision(old *doc, text []byte) string {
	generation, previous := 0, ""
	if old != nil {
		previous = old.rev
		number, _, _ := strings.Cut(old.rev, "-")
		generation, _ = strconv.Atoi(number)
	}
	sum := md5.Sum(append([]byte(previous+"|"), text...))
	return strconv.Itoa(generation+1) + "-" + hex.EncodeToString(sum[:])
}

func stripSystemFields(body map[string]any) {
	delete(body, "_id")
	delete(body, "_rev")
	delete(body, "_type")
}

func withSystemFields(body map[string]any, d doc, doctype string) map[string]any {
	fields := maps.Clone(body)
	fields["_id"], fields["_rev"] = d.id, d.rev
	if doctype != "" {
		fields["_type"] = doctype
	}
	return fields
}

// living returns the documents that are not deleted, ordered by id.
func (db *database) living() []doc {
	db.mu.RLock()
	defer db.mu.RUnlock()
	all := make([]doc, 0, len(db.docs))
	for _, d := range db.docs {
		if !d.deleted {
			all = append(all, *d)
		}
	}
	slices.SortFunc(all, func(a, b doc) int { return strings.Compare(a.id, b.id) })
	return all
}
