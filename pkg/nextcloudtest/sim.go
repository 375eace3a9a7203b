package nextcloudtest

import (
	"bufio"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"
)

// simPrefix is where the simulator itself is told what to do. It is below no
// sub-path, asks for no login and is not counted.
const simPrefix = "/_sim/"

// serveSim answers orders: POST bodies are JSON, faults and users are as in the
// Go API.
func (s *Server) serveSim(w http.ResponseWriter, r *http.Request) {
	var err error
	switch r.Method + " " + strings.TrimPrefix(r.URL.Path, simPrefix) {
	case "POST faults":
		err = s.simFaults(r)
	case "DELETE faults":
		s.ClearFaults()
	case "POST users":
		err = s.simUsers(r)
	case "POST generated":
		err = s.simGenerated(r)
	case "POST entries":
		err = s.simEntries(r)
	case "POST maintenance":
		err = s.simMaintenance(r)
	case "POST revoke":
		err = s.simRevoke(r)
	case "GET stats":
		writeJSON(w, s.Stats())
		return
	case "DELETE stats":
		s.ResetStats()
	case "GET tree":
		s.simTree(w, r)
		return
	default:
		http.NotFound(w, r)
		return
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // the client left
}

// decode reads one JSON value and refuses unknown fields, so that a misspelt
// order does not pass for one that had no effect.
func decode(r *http.Request, v any) error {
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	return d.Decode(v)
}

// simFaults takes one fault or an array of them.
func (s *Server) simFaults(r *http.Request) error {
	var raw json.RawMessage
	if err := decode(r, &raw); err != nil {
		return err
	}
	var many []Fault
	if len(raw) > 0 && raw[0] == '[' {
		if err := json.Unmarshal(raw, &many); err != nil {
			return err
		}
	} else {
		many = make([]Fault, 1)
		if err := json.Unmarshal(raw, &many[0]); err != nil {
			return err
		}
	}
	for _, f := range many {
		s.Inject(f)
	}
	return nil
}

func (s *Server) simUsers(r *http.Request) error {
	var u User
	if err := decode(r, &u); err != nil {
		return err
	}
	return s.AddUser(u)
}

// simGenerated offers a file, or with files a tree of them.
func (s *Server) simGenerated(r *http.Request) error {
	var in struct {
		User    string `json:"user"`
		Path    string `json:"path"`
		Size    int64  `json:"size"`
		Seed    uint64 `json:"seed"`
		Files   int    `json:"files"`
		Flat    bool   `json:"flat"`    // all in one folder
		Each    int    `json:"each"`    // so many in one
		Folders int    `json:"folders"` // with one unreadable file each
	}
	if err := decode(r, &in); err != nil {
		return err
	}
	switch {
	case in.Folders > 0:
		return s.AddGeneratedFolders(in.User, in.Path, in.Folders)
	case in.Files > 0 && in.Flat:
		return s.AddGeneratedFolder(in.User, in.Path, in.Files, in.Size)
	case in.Files > 0:
		return s.AddGeneratedTree(in.User, in.Path, in.Files, in.Each, in.Size)
	default:
		return s.AddGenerated(in.User, in.Path, in.Size, in.Seed)
	}
}

// simEntries sets what is known of an entry; fields left out stay as they are.
func (s *Server) simEntries(r *http.Request) error {
	var in struct {
		User        string     `json:"user"`
		Path        string     `json:"path"`
		Checksum    *string    `json:"checksum"`
		Favorite    *bool      `json:"favorite"`
		Encrypted   *bool      `json:"encrypted"`
		Gone        *bool      `json:"gone"`
		Permissions *string    `json:"permissions"`
		Tags        []string   `json:"tags"`
		Created     *time.Time `json:"created"`
		Mount       *Mount     `json:"mount"`
		Lock        *Lock      `json:"lock"`
	}
	if err := decode(r, &in); err != nil {
		return err
	}
	var errs []error
	if in.Checksum != nil {
		errs = append(errs, s.SetChecksum(in.User, in.Path, *in.Checksum))
	}
	if in.Favorite != nil {
		errs = append(errs, s.SetFavorite(in.User, in.Path, *in.Favorite))
	}
	if in.Encrypted != nil {
		errs = append(errs, s.SetEncrypted(in.User, in.Path, *in.Encrypted))
	}
	if in.Gone != nil {
		errs = append(errs, s.SetGone(in.User, in.Path, *in.Gone))
	}
	if in.Permissions != nil {
		errs = append(errs, s.SetPermissions(in.User, in.Path, *in.Permissions))
	}
	if in.Tags != nil {
		errs = append(errs, s.SetTags(in.User, in.Path, in.Tags...))
	}
	if in.Created != nil {
		errs = append(errs, s.SetCreated(in.User, in.Path, *in.Created))
	}
	if in.Mount != nil {
		errs = append(errs, s.SetMount(in.User, in.Path, *in.Mount))
	}
	if in.Lock != nil {
		errs = append(errs, s.SetLock(in.User, in.Path, *in.Lock))
	}
	return errors.Join(errs...)
}

func (s *Server) simMaintenance(r *http.Request) error {
	var in struct {
		On bool `json:"on"`
	}
	if err := decode(r, &in); err != nil {
		return err
	}
	s.SetMaintenance(in.On)
	return nil
}

func (s *Server) simRevoke(r *http.Request) error {
	var in struct {
		Token string `json:"token"`
	}
	if err := decode(r, &in); err != nil {
		return err
	}
	s.Revoke(in.Token, 0)
	return nil
}

// treeLine is one line of /_sim/tree.
type treeLine struct {
	Path  string    `json:"path"` // below the home, without leading slash
	Dir   bool      `json:"dir,omitempty"`
	Size  int64     `json:"size"`
	MD5   string    `json:"md5,omitempty"`
	MTime time.Time `json:"mtime"`
}

// simTree streams a user's files as JSON lines; md5=0 leaves the digests out. A
// tree that could not be read to its end is followed by a line with an error.
func (s *Server) simTree(w http.ResponseWriter, r *http.Request) {
	a, err := s.account(r.URL.Query().Get("user"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	top, err := a.home.find(cleanPath(r.URL.Query().Get("path")))
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "application/jsonl")
	buf := bufio.NewWriterSize(w, 32<<10)
	defer func() { _ = buf.Flush() }()
	out := json.NewEncoder(buf)
	if err := a.home.dump(out, top, r.URL.Query().Get("md5") != "0"); err != nil {
		_ = out.Encode(map[string]string{"error": err.Error()})
	}
}

func (h *home) dump(out *json.Encoder, dir entry, digests bool) error {
	for e, err := range h.children(dir) {
		if err != nil {
			return err
		}
		line := treeLine{Path: e.path, Dir: e.dir, Size: e.size, MTime: e.mtime.UTC()}
		if !e.dir && digests {
			sum := md5.New()
			if err := h.digest(e, sum); err != nil {
				return err
			}
			line.MD5 = hex.EncodeToString(sum.Sum(nil))
		}
		if err := out.Encode(line); err != nil {
			return err
		}
		if !e.dir {
			continue
		}
		if err := h.dump(out, e, digests); err != nil {
			return err
		}
	}
	return nil
}
