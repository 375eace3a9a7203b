package workers_test

import "bytes"

// count is how often clients sent something, such as the start of a request.
func count(sent []byte, what string) int64 { return int64(bytes.Count(sent, []byte(what))) }

// statement says whether bytes sent to PostgreSQL ask for work. The messages of a
// start have no letter or a small one, X is a goodbye.
func statement(sent []byte) bool { return sent[0] >= 'A' && sent[0] < 'X' }
