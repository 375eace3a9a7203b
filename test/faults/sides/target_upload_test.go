package sides_test

import (
	"path"
	"strings"
	"testing"
	"time"

	"example.org/ncm/pkg/contract"
	"example.org/ncm/test/rig"
)

const (
	typeAPI     = "application/vnd.api+json"
	nameTaken   = `{"errors":[{"status":"409","title":"Conflict","detail":"file already exists","source":{}}]}`
	tooLarge    = `{"errors":[{"status":"413","title":"Request Entity Too Large","detail":"The file is too big and exceeds the disk quota","source":{}}]}`
	badName     = `{"errors":[{"status":"422","title":"Invalid Parameter","detail":"Invalid name","source":{"parameter":"Name"}}]}`
	mismatch    = `{"errors":[{"status":"412","title":"Precondition Failed","detail":"Content length does not match","source":{"parameter":"Content-Length"}}]}`
	otherDigest = `{"data":{"type":"io.cozy.files","id":"0123456789abcdef0123456789abcdef","attributes":{"type":"file","name":"spoiled.bin",` +
		`"size":"2000000","md5sum":"1B2M2Y8AsgTpgAmY7PhCfg=="},"meta":{"rev":"1-a"}}}`
)

func targetTakesAFileBadly(t *testing.T, s *stage) {
	type bad struct {
		fault rig.Fault
		words string // what the user is told; empty: the file arrives all the same
	}
	faults := map[string]bad{
		"409 and nothing has the name":        {rig.Fault{"times": 2, "status": 409, "contentType": typeAPI, "body": nameTaken}, ""},
		"412":                                 {rig.Fault{"times": 2, "status": 412, "contentType": typeAPI, "body": mismatch}, ""},
		"413 without a quota":                 {rig.Fault{"status": 413, "contentType": typeAPI, "body": tooLarge}, "too large"},
		"413 of a proxy":                      {rig.Fault{"status": 413, "contentType": "text/html", "body": "<html></html>"}, "too large"},
		"422 for the name":                    {rig.Fault{"status": 422, "contentType": typeAPI, "body": badName}, "does not accept this name"},
		"429 with Retry-After":                {rig.Fault{"times": 2, "status": 429, "retryAfter": "1"}, ""},
		"500":                                 {rig.Fault{"times": 2, "status": 500}, ""},
		"500 for ever":                        {rig.Fault{"status": 500}, "busy"},
		"502 of a proxy":                      {rig.Fault{"times": 2, "status": 502, "contentType": "text/html"}, ""},
		"503":                                 {rig.Fault{"times": 2, "status": 503}, ""},
		"504 until the end of the run":        {rig.Fault{"times": 4, "status": 504}, ""},
		"404 of a proxy":                      {rig.Fault{"times": 2, "status": 404, "contentType": "text/html", "body": "<html></html>"}, ""},
		"401, the token is not taken":         {rig.Fault{"times": 1, "status": 401}, ""},
		"reset before the body":               {rig.Fault{"times": 2, "resetBeforeBody": true}, ""},
		"reset in the body":                   {rig.Fault{"times": 2, "resetMidBody": true}, ""},
		"reset after the body, answer lost":   {rig.Fault{"times": 1, "afterCommit": true}, ""},
		"answer cut":                          {rig.Fault{"times": 1, "cutAnswer": true}, ""},
		"500 after it was stored":             {rig.Fault{"times": 1, "afterCommit": true, "status": 500}, ""},
		"409 after it was stored":             {rig.Fault{"times": 1, "afterCommit": true, "status": 409, "contentType": typeAPI, "body": nameTaken}, ""},
		"504 after it was stored, and again":  {rig.Fault{"times": 2, "afterCommit": true, "status": 504}, ""},
		"an answer that tells another digest": {rig.Fault{"times": 1, "afterCommit": true, "status": 201, "contentType": typeAPI, "body": otherDigest}, ""},
		"an answer that is none":              {rig.Fault{"times": 1, "afterCommit": true, "status": 201, "contentType": typeAPI, "body": "{"}, ""},
		"503 while the body is being sent":    {rig.Fault{"times": 2, "answerEarly": true, "status": 503}, ""},
		"413 while the body is being sent":    {rig.Fault{"answerEarly": true, "status": 413, "contentType": typeAPI, "body": tooLarge}, "too large"},
		"422 while the body is being sent":    {rig.Fault{"answerEarly": true, "status": 422, "contentType": typeAPI, "body": badName}, "does not accept this name"},
	}
	within := rig.Patience
	if rig.Full() {
		faults["no answer for five minutes"] = bad{rig.Fault{"times": 1, "hang": true}, ""}
		within += 5 * time.Minute
	}
	for name, it := range faults {
		s.perform(t, name, func(c *scene) {
			c.files("good", 12)
			c.files("bad", 5)
			c.files("zz", 3)
			// One is streamed, the other may come out of memory.
			for file, size := range map[string]int64{"spoiled.bin": 2_000_000, "small.bin": 20_000} {
				c.file("bad/"+file, size)
				fault := uploads(it.fault)
				fault["queryContains"] = "Type=file&Name=" + file + "&"
				c.spoilTarget(fault)
			}
			c.start()
			began := time.Now()
			c.await(contract.StatusCompleted, within)
			c.measured("all the rest copied and these settled", time.Since(began))
			var p promise
			if it.words != "" {
				p.failed = map[string]string{"bad/spoiled.bin": it.words, "bad/small.bin": it.words}
			}
			c.aftermath(p)
		})
	}
}

func targetTakesAFolderBadly(t *testing.T, s *stage) {
	for name, it := range map[string]struct {
		fault rig.Fault
		words string
	}{
		"409 and nothing has the name": {rig.Fault{"times": 2, "status": 409, "contentType": typeAPI, "body": nameTaken}, ""},
		"422 for the name":             {rig.Fault{"status": 422, "contentType": typeAPI, "body": badName}, "does not accept this name"},
		"500":                          {rig.Fault{"times": 2, "status": 500}, ""},
		"answer lost":                  {rig.Fault{"times": 1, "afterCommit": true}, ""},
		"answer lost, twice":           {rig.Fault{"times": 2, "afterCommit": true, "status": 504}, ""},
		"reset":                        {rig.Fault{"times": 2, "resetBeforeBody": true}, ""},
	} {
		s.perform(t, name, func(c *scene) {
			c.files("good", 5)
			c.files("spoiled", 4)
			c.files("spoiled/below", 4)
			fault := creations("directory", it.fault)
			fault["queryContains"] = "Type=directory&Name=spoiled"
			c.spoilTarget(fault)
			c.start()
			c.await(contract.StatusCompleted, rig.Patience)
			var p promise
			if it.words != "" {
				p.failed = map[string]string{"spoiled": it.words}
			}
			c.aftermath(p)
		})
	}
}

func targetHasTheNameAlready(t *testing.T, s *stage) {
	taken := func(name string, put func(c *scene, dir string), p promise) {
		s.perform(t, name, func(c *scene) {
			c.files("good", 5)
			c.file("letter.txt", 3000)
			c.files("letters", 2)
			put(c, c.makeFolder("io.cozy.files.root-dir", strings.TrimPrefix(rig.TargetDir, "/")))
			c.start()
			c.await(contract.StatusCompleted, rig.Patience)
			c.aftermath(p)
		})
	}
	taken("equal content counts as copied", func(c *scene, dir string) { c.upload(dir, "letter.txt", c.read("letter.txt")) }, promise{})
	taken("other content stays, the file gets a number", func(c *scene, dir string) { c.upload(dir, "letter.txt", "mine") },
		promise{renamed: map[string]string{"letter.txt": "letter (2).txt"}, foreign: []string{"letter.txt"}})
	taken("other content of the same size stays too", func(c *scene, dir string) { c.upload(dir, "letter.txt", strings.Repeat("x", 3000)) },
		promise{renamed: map[string]string{"letter.txt": "letter (2).txt"}, foreign: []string{"letter.txt"}})
	taken("the source has the number as a name, of equal content", func(c *scene, dir string) {
		c.write("letter (2).txt", strings.NewReader(c.read("letter.txt")))
		c.upload(dir, "letter.txt", "mine")
	}, promise{renamed: map[string]string{"letter.txt": "letter (3).txt"}, foreign: []string{"letter.txt"}})
	taken("a file has the folder's name", func(c *scene, dir string) { c.upload(dir, "letters", "mine") },
		promise{renamed: map[string]string{"letters": "letters (2)"}, foreign: []string{"letters"}})
	taken("a folder has the file's name", func(c *scene, dir string) { c.makeFolder(dir, "letter.txt") },
		promise{renamed: map[string]string{"letter.txt": "letter (2).txt"}, foreign: []string{"letter.txt"}})
	taken("a folder has the folder's name", func(c *scene, dir string) { c.makeFolder(dir, "letters") }, promise{})
}

func targetShortensALongName(c *scene) {
	long := strings.Repeat("n", 250) // the stack answers 500
	c.file(long, 100)
	c.file("folder/"+long, 100)
	c.files(strings.Repeat("f", 240), 3)
	c.files("good", 5)
	c.start()
	c.await(contract.StatusCompleted, rig.Patience)
	p := promise{renamed: map[string]string{}}
	for _, f := range c.fileRows() {
		if f.TargetName != "" {
			p.renamed[f.Path] = path.Join(path.Dir(f.Path), f.TargetName)
		}
	}
	if len(p.renamed) != 2 {
		c.t.Errorf("shortened are %v, want both long names", p.renamed)
	}
	c.aftermath(p)
}

func targetHasABurstOfErrors(c *scene) {
	c.files("a/many", 60)
	c.files("b/many", 60)
	for _, f := range []rig.Fault{
		{"status": 500},
		{"status": 502, "contentType": "text/html"},
		{"status": 503},
		{"status": 504},
		{"resetBeforeBody": true},
		{"resetMidBody": true},
		{"afterCommit": true},
		{"cutAnswer": true},
	} {
		f["times"] = 4
		f["skip"] = 10
		c.spoilTarget(uploads(f))
	}
	c.start()
	began := time.Now()
	c.await(contract.StatusCompleted, rig.Patience)
	c.measured("all copied once, through 32 errors", time.Since(began))
	c.aftermath(promise{})
}
