package nextcloud

import (
	"context"
	"strings"
	"time"

	"example.org/ncm/pkg/contract"
	"example.org/ncm/services/trigger/internal/request"
)

// What counting files may cost. A server counts what is directly in a folder,
// not what is below, so folders with folders in them have to be listed.
const (
	countTimeout  = 5 * time.Second
	maxCountLists = 30
)

// Measure implements request.Sources.
func (s *Sources) Measure(ctx context.Context, account contract.Account, path string) (request.Amount, error) {
	self, err := s.list(ctx, account, path, "0", noChildren)
	if err != nil {
		return request.Amount{}, err
	}
	amount := request.Amount{Bytes: count(self.Size)}
	if !self.folder() {
		one := int64(1)
		amount.Files = &one
		return amount, nil
	}
	ctx, cancel := context.WithTimeout(ctx, countTimeout)
	defer cancel()
	amount.Files = s.countFiles(ctx, account, strings.Trim(path, "/"), self)
	return amount, nil
}

func noChildren(string, properties) error { return errMalformed }

// countFiles adds up what the server counts. Nil: that would take too long, or
// the server does not tell; it is not worth an error.
func (s *Sources) countFiles(ctx context.Context, account contract.Account, path string, self properties) *int64 {
	var total int64
	var open []string // folders with folders in them
	known := true
	add := func(path string, p properties) {
		files, folders := count(p.Files), count(p.Folders)
		if files == nil || folders == nil || p.absent() {
			known = false
			return
		}
		total += *files
		if *folders > 0 {
			open = append(open, path)
		}
	}
	add(path, self)
	for lists := 0; known && len(open) > 0; lists++ {
		folder := open[len(open)-1]
		open = open[:len(open)-1]
		_, err := s.list(ctx, account, folder, "1", func(name string, p properties) error {
			if p.folder() {
				add(strings.TrimPrefix(folder+"/"+name, "/"), p)
			}
			return nil
		})
		if err != nil || lists == maxCountLists || len(open) > maxCountLists {
			known = false
		}
	}
	if !known {
		return nil
	}
	return &total
}
