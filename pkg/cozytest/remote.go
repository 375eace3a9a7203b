package cozytest

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"
)

// The routes to the Nextcloud of an account. No recording holds them: what they
// answer follows the source of cozy-stack (web/remote, model/nextcloud and
// pkg/webdav, July 2026), its oddities included. The Nextcloud is asked for real.

const doctypeRemote = "io.cozy.remote.nextcloud.files"

// remote finds the route of a path below /remote/nextcloud/.
//
// The framework matches the path as it was sent where it differs from what Go
// would have written, and the unescaped path otherwise; the handlers unescape
// what they get. So "a%2541" is read as "aA" unless something else is escaped
// without need.
func (c *call) remote() routed {
	sent := c.r.URL.RawPath
	if sent == "" {
		sent = c.r.URL.Path
	}
	accountID, rest, ok := strings.Cut(strings.TrimPrefix(sent, "/remote/nextcloud/"), "/")
	area, below, nested := strings.Cut(rest, "/")
	with := func(do func(*call, *nextcloud, string) error, verb, rest string) action {
		return func(c *call) error { return c.withNextcloud(accountID, verb, rest, do) }
	}
	switch method := c.r.Method; {
	case !ok:
	case method == http.MethodGet && nested && area == "size":
		return routed{"GET /remote/nextcloud/:account/size/*", with((*call).remoteSize, verbGet, below)}
	case method == http.MethodGet && nested && area == "trash": // the trash of the Nextcloud, not a folder of that name
		return routed{"GET /remote/nextcloud/:account/trash/*", func(*call) error {
			return plainError(http.StatusNotImplemented, "cozytest: the trash of a Nextcloud is not simulated")
		}}
	case method == http.MethodGet && c.query().Get("Dl") == "1":
		return routed{"GET /remote/nextcloud/:account/*?Dl=1", with((*call).remoteDownload, verbGet, rest)}
	case method == http.MethodGet:
		return routed{"GET /remote/nextcloud/:account/*", with((*call).remoteList, verbGet, rest)}
	case method == http.MethodPost && nested && area == "downstream":
		return routed{"POST /remote/nextcloud/:account/downstream/*", with((*call).downstream, verbPost, below)}
	}
	return routed{routeUnknown, func(*call) error { return noRoute() }}
}

// nextcloud is the WebDAV client of an account.
type nextcloud struct {
	stack           *Stack
	base            *url.URL
	login, password string
	user            string
}

func (c *call) withNextcloud(accountID, verb, rest string, do func(*call, *nextcloud, string) error) error {
	if _, err := c.allow(verb, doctypeFiles); err != nil {
		return err
	}
	nc, err := c.inst.nextcloud(accountID)
	if err != nil {
		return err
	}
	p, err := url.PathUnescape(rest)
	if err != nil {
		return jsonapiError(http.StatusBadRequest, err.Error())
	}
	return do(c, nc, p)
}

func (inst *Instance) nextcloud(accountID string) (*nextcloud, error) {
	found, err := inst.data.database(doctypeAccounts).get(accountID)
	if err != nil {
		return nil, jsonapiError(http.StatusNotFound, "account not found")
	}
	body := inst.stack.vault.open(found.body)
	auth, _ := body["auth"].(map[string]any)
	address, _ := auth["url"].(string)
	base, err := url.Parse(address)
	if body["account_type"] != "nextcloud" || address == "" || err != nil {
		return nil, jsonapiError(http.StatusBadRequest, "invalid NextCloud account")
	}
	nc := &nextcloud{stack: inst.stack, base: base}
	nc.login, _ = auth["login"].(string)
	nc.password, _ = auth["password"].(string)
	nc.user, _ = body["webdav_user_id"].(string)
	if nc.user == "" {
		return nc, nc.findUser()
	}
	return nc, nil
}

// findUser asks for the user id, which accounts may lack.
func (nc *nextcloud) findUser() error {
	res, err := nc.ask(http.MethodGet, "/ocs/v2.php/cloud/user", map[string]string{
		"OCS-APIRequest": "true", "Accept": typeJSON,
	}, "")
	if err != nil {
		return err
	}
	defer res.Body.Close()
	switch res.StatusCode {
	case http.StatusOK:
	case http.StatusUnauthorized, http.StatusForbidden:
		return remoteRefusal(res.StatusCode)
	default:
		return unqualified("unexpected status " + strconv.Itoa(res.StatusCode) + " from nextcloud cloud/user probe")
	}
	var answer struct {
		OCS struct {
			Data struct {
				ID string `json:"id"`
			} `json:"data"`
		} `json:"ocs"`
	}
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
		return unqualified(err.Error())
	}
	nc.user = answer.OCS.Data.ID
	return nil
}

// root is the path below which the Nextcloud lives.
func (nc *nextcloud) root() string { return strings.TrimSuffix(nc.base.Path, "/") }

// davPath is where the user's home is below root.
const davPath = "/remote.php/dav"

// home is the path of a file or folder below root; a slash ends it always.
func (nc *nextcloud) home(p string) string {
	return davPath + strings.TrimSuffix("/files/"+nc.user+"/"+p, "/") + "/"
}

// ask sends a request. It does not end with the stack's own caller.
func (nc *nextcloud) ask(method, below string, header map[string]string, body string) (*http.Response, error) {
	u := url.URL{
		Scheme: nc.base.Scheme, Host: nc.base.Host, User: url.UserPassword(nc.login, nc.password),
		Path: nc.root() + below,
	}
	req, err := http.NewRequestWithContext(nc.stack.life, method, u.String(), strings.NewReader(body))
	if err != nil {
		return nil, unqualified(err.Error())
	}
	for name, value := range header {
		req.Header.Set(name, value)
	}
	res, err := nc.stack.remote.Do(req)
	if err != nil {
		return nil, unqualified(err.Error())
	}
	return res, nil
}

// remoteRefusal is what becomes of an answer of the Nextcloud other than success.
func remoteRefusal(status int) error {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return jsonapiError(http.StatusUnauthorized, "invalid authentication")
	case http.StatusNotFound:
		return jsonapiError(http.StatusNotFound, "file/directory not found")
	}
	return jsonapiError(http.StatusInternalServerError, "internal server error")
}

const listedProperties = `<?xml version="1.0"?>` +
	`<d:propfind xmlns:d="DAV:" xmlns:oc="http://owncloud.org/ns" xmlns:nc="http://nextcloud.org/ns"><d:prop>` +
	`<d:resourcetype/><d:displayname/><d:getlastmodified/><d:getetag/><d:getcontentlength/><d:getcontenttype/>` +
	`<oc:fileid/><nc:trashbin-filename/><nc:trashbin-original-location/></d:prop></d:propfind>`

const sizeProperty = `<?xml version="1.0"?><d:propfind xmlns:d="DAV:" xmlns:oc="http://owncloud.org/ns"><d:prop><oc:size/></d:prop></d:propfind>`

type davAnswer struct {
	XMLName   xml.Name `xml:"multistatus"`
	Responses []struct {
		Href  string `xml:"DAV: href"`
		Stats []struct {
			Status     string    `xml:"status"`
			Collection *struct{} `xml:"prop>resourcetype>collection"`
			Name       string    `xml:"prop>displayname"`
			Length     string    `xml:"prop>getcontentlength"`
			Size       string    `xml:"prop>size"`
			Modified   string    `xml:"prop>getlastmodified"`
			ETag       string    `xml:"prop>getetag"`
			FileID     string    `xml:"prop>fileid"`
		} `xml:"DAV: propstat"`
	} `xml:"response"`
}

func (nc *nextcloud) propfind(p, depth, properties string) (*davAnswer, error) {
	res, err := nc.ask("PROPFIND", nc.home(p), map[string]string{
		"Content-Type": "application/xml;charset=UTF-8", "Accept": "application/xml", "Depth": depth,
	}, properties)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK && res.StatusCode != http.StatusMultiStatus {
		return nil, remoteRefusal(res.StatusCode)
	}
	answer := new(davAnswer)
	if err := xml.NewDecoder(res.Body).Decode(answer); err != nil {
		return nil, unqualified(err.Error())
	}
	return answer, nil
}

func found(status string) bool {
	fields := strings.Fields(status)
	return len(fields) > 1 && fields[1] == "200"
}

type remoteAttributes struct {
	Type      string `json:"type"`
	Name      string `json:"name"`
	Path      string `json:"path"`
	Size      uint64 `json:"size,omitempty"`
	Mime      string `json:"mime,omitempty"`
	Class     string `json:"class,omitempty"`
	UpdatedAt string `json:"updated_at,omitempty"`
	ETag      string `json:"etag,omitempty"`
}

// remoteList leaves out what has the address that was asked for: a file that is
// listed is its own child.
func (c *call) remoteList(nc *nextcloud, p string) error {
	answer, err := nc.propfind(p, "1", listedProperties)
	if err != nil {
		return err
	}
	list := []resource{}
	for _, response := range answer.Responses {
		// The real stack compares with the root as it is, unescaped: below a root
		// that needs escapes a folder is its own child.
		href := unescapeParts(strings.TrimPrefix(response.Href, nc.root()))
		if href == nc.home(p) {
			continue
		}
		for _, stat := range response.Stats {
			if !found(stat.Status) {
				continue
			}
			a := remoteAttributes{
				Type: "directory", Name: stat.Name, Path: "/" + path.Join(p, path.Base(href)),
				UpdatedAt: stat.Modified, ETag: stat.ETag,
			}
			if stat.Collection == nil {
				a.Type = "file"
				a.Size, _ = strconv.ParseUint(stat.Length, 10, 64)
				a.Mime, a.Class = mimeAndClass("", stat.Name)
			}
			page := url.URL{Scheme: nc.base.Scheme, Host: nc.base.Host, Path: "/apps/files/files/" + stat.FileID, RawQuery: "dir=/" + p}
			list = append(list, resource{Type: doctypeRemote, ID: stat.FileID, Attributes: a, Links: &links{Self: page.String()}})
		}
	}
	writeDocument(c.writer(), http.StatusOK, document{Data: list, Meta: countMeta{len(list)}})
	return nil
}

func unescapeParts(href string) string {
	parts := strings.Split(href, "/")
	for i, part := range parts {
		if plain, err := url.PathUnescape(part); err == nil {
			parts[i] = plain
		}
	}
	return strings.Join(parts, "/")
}

func (c *call) remoteSize(nc *nextcloud, p string) error {
	answer, err := nc.propfind(p, "0", sizeProperty)
	if err != nil {
		return err
	}
	for _, response := range answer.Responses {
		for _, stat := range response.Stats {
			if !found(stat.Status) || stat.Size == "" {
				continue
			}
			size, err := strconv.ParseUint(stat.Size, 10, 64)
			if err != nil { // -1 is "not known"
				return unqualified(err.Error())
			}
			writeJSON(c.writer(), http.StatusOK, typeJSON, map[string]uint64{"size": size})
			return nil
		}
	}
	return remoteRefusal(http.StatusNotFound)
}

func (nc *nextcloud) get(p string) (*http.Response, error) {
	res, err := nc.ask(http.MethodGet, nc.home(p), nil, "")
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		defer res.Body.Close()
		return nil, remoteRefusal(res.StatusCode)
	}
	return res, nil
}

func (c *call) remoteDownload(nc *nextcloud, p string) error {
	res, err := nc.get(p)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	h := c.w.Header()
	h["Content-Security-Policy"] = downloadPolicy
	h.Set("Content-Disposition", strings.Replace(contentDisposition(path.Base(p)), "inline", "attachment", 1))
	h.Set("Content-Type", res.Header.Get("Content-Type"))
	for _, name := range []string{"Content-Length", "Last-Modified", "Etag"} {
		if value := res.Header.Get(name); value != "" {
			h.Set(name, value)
		}
	}
	c.writer().WriteHeader(http.StatusOK)
	_, err = io.Copy(c.w, c.inst.gate.slowReader(c.r.Context(), res.Body))
	if err != nil {
		// The head is out. The server cuts a body of known length; one of unknown
		// length ends like a whole one.
		c.inst.stack.log.DebugContext(c.r.Context(), "remote body ended early", "error", err)
	}
	return nil
}

// downstream moves or copies a file into a folder of the instance, whether or not
// the caller waits for it.
func (c *call) downstream(nc *nextcloud, p string) error {
	to := c.query().Get("To")
	if to == "" {
		return jsonapiError(http.StatusBadRequest, "missing To parameter")
	}
	res, err := nc.get(p)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	file, err := c.newRemoteFile(path.Base(p), res.Header.Get("Content-Type"))
	if err != nil {
		return err
	}
	if c.inst.hasChild(to, file.name) {
		if !isTrue(c.query().Get("FailOnConflict")) {
			return unqualified("cozytest: the renaming of copies is not simulated")
		}
		return jsonapiError(http.StatusConflict, "Conflict access to same file or directory")
	}
	size, _ := strconv.ParseInt(res.Header.Get("Content-Length"), 10, 64) // none: 0
	limit, err := c.inst.admit(to, file.name, size)
	if err != nil {
		return asRemoteError(err)
	}
	if file.blob, err = c.inst.stack.blobs.receive(c.inst.gate.slowReader(c.inst.stack.life, res.Body), limit); err == nil {
		err = promise{size: size}.check(file.blob)
	}
	if err == nil {
		err = c.finishCopy(file, to)
	}
	if err != nil {
		c.inst.stack.blobs.remove(file.blob.key)
		return asRemoteError(err)
	}
	if !isTrue(c.query().Get("Copy")) {
		nc.remove(p)
	}
	return nil
}

func isTrue(text string) bool {
	yes, _ := strconv.ParseBool(text)
	return yes
}

// newRemoteFile is dated now: the Nextcloud's date is lost.
func (c *call) newRemoteFile(name, contentType string) (*node, error) {
	g, err := c.authenticate()
	if err != nil {
		return nil, err
	}
	if err := checkName(name); err != nil {
		return nil, unqualified("Invalid filename: empty or contains an illegal character")
	}
	now := time.Now().UTC()
	file := &node{rev: firstRevision(), name: name, created: now, updated: now, filePart: &filePart{}}
	file.mime, file.class = mimeAndClass(contentType, name)
	file.meta = c.inst.uploadMetadata(now, g.slug)
	file.id = c.inst.newFileID(file.mime)
	return file, nil
}

func (c *call) finishCopy(file *node, to string) error {
	res, err := c.inst.addFile(file, to)
	if err != nil {
		return err
	}
	writeDocument(c.writer(), http.StatusCreated, document{Data: res})
	return nil
}

func (inst *Instance) hasChild(parentID, name string) bool {
	inst.mu.RLock()
	defer inst.mu.RUnlock()
	parent := inst.tree.dir(parentID)
	return parent != nil && parent.children[name] != nil
}

// asRemoteError is an error of the instance's files on these routes, which have
// words for a taken name alone.
func asRemoteError(err error) error {
	var e *apiError
	var broken *brokenBody
	switch {
	case errors.As(err, &broken):
		return unqualified(broken.cause.Error())
	case errors.Is(err, errOverLimit):
		return unqualified(overQuota)
	case errors.As(err, &e) && e.status != http.StatusConflict:
		return unqualified(e.detail)
	}
	return err
}

func (nc *nextcloud) remove(p string) {
	res, err := nc.ask(http.MethodDelete, nc.home(p), nil, "")
	if err == nil {
		defer res.Body.Close()
	}
}
