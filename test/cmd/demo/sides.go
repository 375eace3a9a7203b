package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"example.org/ncm/pkg/contract"
	"example.org/ncm/pkg/nextcloudtest"
	"example.org/ncm/test/tree"
)

// sides are the servers that the demo talks to.
type sides struct {
	cfg    *config
	out    io.Writer
	client *http.Client
}

func newSides(cfg *config, out io.Writer) *sides {
	return &sides{cfg: cfg, out: out, client: &http.Client{Transport: &http.Transport{}}}
}

// owner is a user of an instance who is logged in.
type owner struct {
	instance string
	token    string
}

const (
	pause = time.Second
	// askAtMost is longer than the trigger's own look at the Nextcloud.
	askAtMost = 45 * time.Second
	maxAnswer = 32 << 20
)

// ready waits for the simulator.
func (s *sides) ready(ctx context.Context) error {
	for _, address := range []string{s.cfg.nextcloud, s.cfg.cozy} {
		err := s.retry(ctx, "the simulator", func() (bool, error) {
			err := s.call(ctx, http.MethodGet, address+"/healthz", call{})
			return err != nil, err
		})
		if err != nil {
			return fmt.Errorf("%w\nThe simulator does not answer; start the demo with make demo, or %s", err, lookAt)
		}
	}
	return nil
}

// retry tries again for as long as services may take to come up.
func (s *sides) retry(ctx context.Context, what string, try func() (again bool, err error)) error {
	late := time.After(s.cfg.wait)
	for said := false; ; said = true {
		again, err := try()
		if !again || ctx.Err() != nil {
			return err
		}
		if !said {
			fmt.Fprintf(s.out, "Waiting up to %s for %s\n", s.cfg.wait, what)
		}
		timer := time.NewTimer(min(pause, s.cfg.wait))
		select {
		case <-timer.C:
		case <-late:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// fillNextcloud makes the user with the files of a folder, and an app password.
func (s *sides) fillNextcloud(ctx context.Context, dir string) (password string, err error) {
	password = rand.Text()
	user := nextcloudtest.User{ID: s.cfg.user, AppPasswords: []nextcloudtest.AppPassword{{Token: password}}}
	if err := s.call(ctx, http.MethodPost, s.cfg.nextcloud+"/_sim/users", call{send: user}); err != nil {
		return "", fmt.Errorf("make the Nextcloud user: %w", err)
	}
	packed, pack := io.Pipe()
	go func() { pack.CloseWithError(tree.Pack(ctx, pack, dir)) }()
	defer packed.Close()
	address := s.cfg.nextcloud + "/_sim/files?" + url.Values{"user": {s.cfg.user}}.Encode()
	request, err := http.NewRequestWithContext(ctx, http.MethodPut, address, packed)
	if err != nil {
		return "", fmt.Errorf("fill the Nextcloud: %w", err)
	}
	if err := s.send(request, nil); err != nil {
		return "", fmt.Errorf("fill the Nextcloud: %w\nIf the volume of the simulator is full, try -small", err)
	}
	return password, nil
}

// newOwner makes an instance of which nothing is known yet, in the ledger
// neither: an earlier demo may have been stopped in the middle.
func (s *sides) newOwner(ctx context.Context) (owner, error) {
	name, domain, _ := strings.Cut(s.cfg.instance, ".")
	host := s.cfg.instance
	for n := 2; ; n++ {
		err := s.call(ctx, http.MethodGet, s.documentsURL(host), call{})
		if isStatus(err, http.StatusNotFound) {
			break
		}
		if err != nil {
			return owner{}, fmt.Errorf("look for the instance: %w", err)
		}
		host = fmt.Sprintf("%s-%d.%s", name, n, domain)
	}
	if err := s.call(ctx, http.MethodPost, s.cfg.cozy+"/_sim/instances", call{send: map[string]string{"host": host}}); err != nil {
		return owner{}, fmt.Errorf("make the instance: %w", err)
	}
	var minted struct {
		Token string `json:"token"`
	}
	ask := map[string]any{
		"host": host, "audience": "app", "subject": "settings", "ttlSeconds": (s.cfg.wait + s.cfg.timeout + time.Hour).Seconds(),
	}
	if err := s.call(ctx, http.MethodPost, s.cfg.cozy+"/_sim/tokens", call{send: ask, into: &minted}); err != nil {
		return owner{}, fmt.Errorf("log in to the instance: %w", err)
	}
	return owner{host, minted.Token}, nil
}

// start is the Settings page's call. While the broker or the migrators come up
// the trigger says 503, or nothing.
func (s *sides) start(ctx context.Context, o owner, password string) (migration, error) {
	order := map[string]string{
		"nextcloud_url": s.cfg.nextcloudURL, "nextcloud_login": s.cfg.user,
		"nextcloud_app_password": password, "target_dir": s.cfg.targetDir,
	}
	var answer struct {
		Data struct {
			ID string `json:"id"`
		} `json:"data"`
	}
	m := migration{owner: o}
	err := s.retry(ctx, "the trigger and the migrators", func() (bool, error) {
		m.begun = time.Now()
		err := s.call(ctx, http.MethodPost, s.cfg.trigger+"/remote/nextcloud/migration",
			call{owner: o, send: order, into: &answer})
		return comingUp(err), err
	})
	m.id = answer.Data.ID
	if err != nil {
		return m, fmt.Errorf("call the trigger: %w\n%s", err, advice(err))
	}
	return m, nil
}

// comingUp is how a service answers, or does not, that has yet to start, or that
// has checked the login at each of our tries. After a timeout nobody knows what
// was done: that is not tried again.
func comingUp(err error) bool {
	var refused *statusError
	if errors.As(err, &refused) {
		return refused.status == http.StatusServiceUnavailable || refused.status == http.StatusTooManyRequests
	}
	return err != nil && !errors.Is(err, context.DeadlineExceeded)
}

// advice says what to do about an answer of the trigger.
func advice(err error) string {
	var refused *statusError
	if !errors.As(err, &refused) {
		return "The trigger does not answer: " + lookAt
	}
	switch refused.status {
	case http.StatusNotFound:
		return "Is the -instance below one of INSTANCE_SUFFIXES, and does STACK_ADDRESS lead to the simulator?"
	case http.StatusConflict:
		return "An earlier migration of the instance still runs: make demo-down, then make demo"
	case http.StatusBadGateway:
		return "The trigger does not reach -nextcloud-url: is its network in ALLOWED_PRIVATE_RANGES, and ALLOW_HTTP_NEXTCLOUD set?"
	case http.StatusServiceUnavailable:
		return "RabbitMQ or the migrators' queues are not there: deploy/compose logs rabbitmq migrator-1 migrator-2"
	default:
		return "The reason is in the log: deploy/compose logs trigger"
	}
}

// tracking reads the tracking document as the Settings page does.
func (s *sides) tracking(ctx context.Context, m migration) (*contract.Tracking, error) {
	doc := &contract.Tracking{}
	err := s.call(ctx, http.MethodGet, s.cfg.cozy+"/data/"+contract.DoctypeMigrations+"/"+m.id, call{owner: m.owner, into: doc})
	if err != nil {
		return nil, fmt.Errorf("read the tracking document: %w", err)
	}
	return doc, nil
}

func (s *sides) treeURL(host string) string {
	return s.cfg.cozy + "/_sim/tree?" + url.Values{"host": {host}}.Encode()
}

func (s *sides) documentsURL(host string) string {
	return s.cfg.cozy + "/_sim/docs?" + url.Values{"host": {host}, "doctype": {contract.DoctypeMigrations}}.Encode()
}

// call is one request: as whom, what is sent and where the answer goes.
type call struct {
	owner owner
	send  any
	into  any
}

func (s *sides) call(ctx context.Context, method, address string, c call) error {
	ctx, cancel := context.WithTimeout(ctx, askAtMost)
	defer cancel()
	var body bytes.Buffer
	if c.send != nil {
		if err := json.NewEncoder(&body).Encode(c.send); err != nil {
			return err
		}
	}
	request, err := http.NewRequestWithContext(ctx, method, address, &body)
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	if c.owner.instance != "" {
		request.Host = c.owner.instance
		request.Header.Set("Authorization", "Bearer "+c.owner.token)
	}
	return s.send(request, c.into)
}

func (s *sides) send(request *http.Request, into any) error {
	answer, err := s.client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("read answer of %s: %w", request.URL, err)
	}
	if answer.StatusCode >= http.StatusMultipleChoices {
		return &statusError{answer.StatusCode, request.Method + " " + request.URL.String(), detail(body)}
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("understand answer of %s: %w", request.URL, err)
	}
	return nil
}

// statusError is an answer that is no success.
type statusError struct {
	status  int
	request string
	text    string
}

func (e *statusError) Error() string {
	return fmt.Sprintf("%s: %d %s: %s", e.request, e.status, http.StatusText(e.status), e.text)
}

// detail is the reason in an answer of JSON:API, or all of another one.
func detail(body []byte) string {
	var answer struct {
		Errors []struct {
			Detail string `json:"detail"`
		} `json:"errors"`
	}
	if json.Unmarshal(body, &answer) == nil && len(answer.Errors) > 0 {
		return answer.Errors[0].Detail
	}
	return strings.TrimSpace(string(body))
}

func isStatus(err error, status int) bool {
	var answer *statusError
	return errors.As(err, &answer) && answer.status == status
}
