package sides_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"example.org/ncm/pkg/contract"
	"example.org/ncm/test/rig"
)

func sourceServesAFileBadly(t *testing.T, s *stage) {
	const (
		notFound    = `Sabre\DAV\Exception\NotFound`
		unavailable = `Sabre\DAV\Exception\ServiceUnavailable`
	)
	for name, it := range map[string]struct {
		fault rig.Fault
		words string // what the user is told; empty: the file arrives all the same
	}{
		"404 since it was listed":       {rig.Fault{"times": -1, "status": 404, "exception": notFound, "message": "File not found"}, "was removed"},
		"403 fails it":                  {rig.Fault{"times": -1, "status": 403, "exception": `Sabre\DAV\Exception\Forbidden`}, "does not allow"},
		"423 for a moment":              {rig.Fault{"times": 4, "status": 423, "exception": `OCA\DAV\Connector\Sabre\Exception\FileLocked`}, ""},
		"423 for ever":                  {rig.Fault{"times": -1, "status": 423, "exception": `OCA\DAV\Connector\Sabre\Exception\FileLocked`}, "busy"},
		"429 for a moment":              {rig.Fault{"times": 2, "status": 429, "retry_after": "1s"}, ""},
		"500 for a moment":              {rig.Fault{"times": 2, "status": 500}, ""},
		"500 until the end of the run":  {rig.Fault{"times": 3, "status": 500}, ""},
		"500 for ever":                  {rig.Fault{"times": -1, "status": 500}, "busy"},
		"502 of a proxy":                {rig.Fault{"times": 2, "status": 502, "page": true}, ""},
		"503 Redis is gone":             {rig.Fault{"times": 2, "status": 503, "exception": unavailable, "message": "Redis server went away"}, ""},
		"503 the file is not there":     {rig.Fault{"times": -1, "status": 503, "exception": unavailable, "message": "Could not open file: x, file doesn't seem to exist"}, "was removed"},
		"503 the storage is away":       {rig.Fault{"times": -1, "status": 503, "exception": `Sabre\DAV\Exception\ServiceUnavailable`, "message": "Storage with mount id 7 is not available"}, "storage"},
		"no answer but a reset":         {rig.Fault{"times": 2, "drop": true}, ""},
		"reset in mid-body":             {rig.Fault{"times": 2, "reset_after": 70_000}, ""},
		"reset in mid-body for ever":    {rig.Fault{"times": -1, "reset_after": 70_000}, "did not answer"},
		"truncated body":                {rig.Fault{"times": 2, "truncate_after": 70_000}, ""},
		"truncated body, fitting size":  {rig.Fault{"times": 1, "wrong_content_length": -70_000}, ""},
		"less than announced":           {rig.Fault{"times": 2, "wrong_content_length": 70_000}, ""},
		"overlong body":                 {rig.Fault{"times": 2, "overlong": 70_000}, ""},
		"gzip bomb":                     {rig.Fault{"times": -1, "header": map[string]string{"Content-Encoding": "gzip"}}, "cut short"},
		"a page in place of the file":   {rig.Fault{"times": 2, "status": 200, "body": "<html>please log in</html>"}, ""},
		"no answer for half a minute":   {rig.Fault{"times": 1, "hang": true}, ""},
		"no byte for a minute, stalled": {rig.Fault{"times": 1, "stall_after": 70_000}, ""},
	} {
		s.perform(t, name, func(c *scene) {
			c.files("good", 12)
			c.file("bad/spoiled.bin", lone)
			c.files("bad", 5)
			c.files("zz", 3)
			c.spoilSource("bad/spoiled.bin", withMethod("GET", it.fault))
			c.start()
			began := time.Now()
			c.await(contract.StatusCompleted, rig.Patience)
			c.measured("all the rest copied and this one settled", time.Since(began))
			var p promise
			if it.words != "" {
				p.failed = map[string]string{"bad/spoiled.bin": it.words}
			}
			c.aftermath(p)
		})
	}
}

// What came before the cut is not read again.
func sourceCutsALargeFile(c *scene) {
	const size = 8_000_000
	c.file("large.bin", size)
	before := c.sourceStats(c.t).Statuses[http.StatusPartialContent]
	c.spoilSource("large.bin", rig.Fault{"method": "GET", "times": 1, "truncate_after": size - 1_000_000})
	c.spoilSource("large.bin", rig.Fault{"method": "GET", "times": 1, "truncate_after": 500_000})
	c.start()
	began := time.Now()
	c.await(contract.StatusCompleted, rig.Patience)
	c.measured("copied with one upload and two rests", time.Since(began))
	if rests := c.sourceStats(c.t).Statuses[http.StatusPartialContent] - before; rests != 2 {
		c.t.Errorf("%d rests were read, want 2", rests)
	}
	c.aftermath(promise{})
}

func withMethod(method string, f rig.Fault) rig.Fault {
	f["method"] = method
	return f
}

func sourceHasManyBadFiles(c *scene) {
	c.files("a", 150)
	for n := range 60 { // more in a row than make a side suspect, and larger than archives take
		c.file(fmt.Sprintf("bad/%04d.bin", n), 600_000)
	}
	c.files("c", 150)
	c.spoilSource("bad/", rig.Fault{"method": "GET", "times": -1, "status": 500})
	c.start()
	began := time.Now()
	c.awaitMidway(300)
	c.measured("the 300 good ones copied", time.Since(began))
	doc := c.await(contract.StatusCompleted, rig.Patience)
	c.measured("the 60 bad ones reported", time.Since(began))
	p := promise{failed: map[string]string{}}
	for _, e := range doc.Errors {
		p.failed[e.Path[1:]] = "busy"
	}
	if len(p.failed) != 60 {
		c.t.Errorf("%d entries are reported, want 60", len(p.failed))
	}
	c.aftermath(p)
}
