package e2e_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.yaml.in/yaml/v3"

	"example.org/ncm/pkg/contract"
	"example.org/ncm/test/rig"
)

// measures are what the ScaledObject of deploy/k8s has KEDA ask, by trigger.
type measures struct {
	queues map[string]string // names of queues
	query  string
	role   string // that may do no more than the scaler's
}

func readMeasures(t *testing.T, r *rig.Rig) measures {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(r.Root(), "deploy/k8s/base/scaling.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	m := measures{queues: map[string]string{}, role: "scaler_" + uuid.NewString()}
	for documents := yaml.NewDecoder(bytes.NewReader(content)); ; {
		var object struct {
			Spec struct {
				Triggers []struct {
					Name     string
					Metadata map[string]string
				}
			}
		}
		err := documents.Decode(&object)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, trigger := range object.Spec.Triggers {
			if queue := trigger.Metadata["queueName"]; queue != "" {
				m.queues[trigger.Name] = queue
			} else {
				m.query = trigger.Metadata["query"]
			}
		}
	}
	r.Ledger.Exec(t, fmt.Sprintf("CREATE ROLE %q", m.role))
	r.Ledger.Exec(t, fmt.Sprintf("GRANT SELECT ON migration TO %q", m.role))
	return m
}

// load is what the triggers measure.
type load struct{ requested, canceled, due int64 }

func (m measures) ask(t *testing.T, r *rig.Rig) load {
	t.Helper()
	requested, known := r.Queue(m.queues["requested"])
	canceled, also := r.Queue(m.queues["canceled"])
	if !known || !also {
		t.Fatalf("the broker does not know the queues %v", m.queues)
	}
	r.Ledger.Exec(t, fmt.Sprintf("SET ROLE %q", m.role))
	defer r.Ledger.Exec(t, "RESET ROLE")
	return load{int64(requested.Messages), int64(canceled.Messages), rig.Value[int64](t, r.Ledger, m.query)}
}

func (m measures) await(t *testing.T, r *rig.Rig, what string, want load) {
	t.Helper()
	var got load
	defer func() {
		if t.Failed() {
			t.Logf("%s: load %+v, want %+v", what, got, want)
		}
	}()
	rig.Await(t, time.Minute, what, func() bool { got = m.ask(t, r); return got == want })
}

func TestWorkersAreScaledByTheWorkThereIs(t *testing.T) {
	t.Parallel()
	r := backends.New(t)
	m := readMeasures(t, r)
	if _, known := r.Queue(m.queues["requested"]); known {
		t.Fatal("the queues are there before any worker was")
	}
	r.StartMigrator(nil).Stop(t)
	m.await(t, r, "nothing to do", load{})

	trigger := r.StartTrigger(nil)
	var ids []string
	var instances []*rig.Instance
	for _, name := range []string{"alice", "bob", "carol"} {
		user, instance := r.AddUser(name), r.AddInstance(name+rig.InstanceSuffix)
		r.Generate(user, "files", 50, 100)
		slowUploads(r, instance, 400)
		ids, instances = append(ids, trigger.MustStart(t, instance, r.Order(user))), append(instances, instance)
	}
	cancel := fmt.Sprintf(`{"migrationId":%q,"workplaceFqdn":%q,"timestamp":1}`, ids[2], instances[2].Host)
	r.Publish(contract.KeyCanceled, ids[2], cancel)
	m.await(t, r, "three requests and a cancellation wait for a worker", load{requested: 3, canceled: 1})

	worker := r.StartMigrator(rig.Env{"SLOTS": "1", "TRANSFERS": "1"})
	m.await(t, r, "one migration is worked on, one waits", load{due: 2})
	rig.Await(t, time.Minute, "one lease", func() bool {
		return rig.Value[int64](t, r.Ledger, "SELECT count(*) FROM migration WHERE lease_until > now()") == 1
	})

	r.HealCozy()
	for _, i := range []int{0, 1} {
		instances[i].AwaitStatus(ids[i], contract.StatusCompleted, time.Minute)
	}
	m.await(t, r, "all is done and told", load{})
	worker.Stop(t)

	// Without a worker nothing else writes to these rows.
	r.Ledger.Exec(t, "UPDATE migration SET mirror_due_at = now() WHERE id = $1", ids[0])
	m.await(t, r, "a result that its user was not told", load{due: 1})
	r.Ledger.Exec(t, "UPDATE migration SET mirror_due_at = NULL WHERE id = $1", ids[0])
	r.Ledger.Exec(t, "UPDATE migration SET password_due_at = now() WHERE id = $1", ids[0])
	m.await(t, r, "an app password that is to be given back", load{due: 1})
	r.Ledger.Exec(t, `UPDATE migration SET state = 'running', finished_at = NULL, due_at = now() + interval '1 hour' WHERE id = $1`, ids[0])
	m.await(t, r, "a migration that waits for its server needs no worker", load{})
	r.Ledger.Exec(t, "UPDATE migration SET due_at = now() WHERE id = $1", ids[0])
	m.await(t, r, "it is due again", load{due: 1})
}
