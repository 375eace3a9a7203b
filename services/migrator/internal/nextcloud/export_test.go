package nextcloud

import (
	"io"
	"net/url"
	"time"

	"example.org/ncm/services/migrator/internal/transfer"
)

// Decode reads the listing of a folder as List does, without HTTP.
func Decode(r io.Reader, folder string, limit int, yield func(transfer.Entry) error) (transfer.Entry, error) {
	l := newListing(&url.URL{Scheme: "https", Host: "cloud.example", Path: folder}, "", query{limit: limit, yield: yield})
	err := decodeMultistatus(r, l.visit)
	if err == nil {
		err = l.checkFolder()
	}
	return l.self, err
}

// Responses gives the addresses and failures of a multistatus, whatever folder
// it is about.
func Responses(r io.Reader, visit func(href string, failure int, e transfer.Entry)) error {
	return decodeMultistatus(r, func(r *response) error {
		visit(string(r.href), r.failure(), r.entry(""))
		return nil
	})
}

// ParseRetryAfter is parseRetryAfter.
func ParseRetryAfter(value string, now time.Time) time.Duration { return parseRetryAfter(value, now) }
