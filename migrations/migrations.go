// Package migrations embeds the schema of the ledger, so that the binary, its
// job in a deployment and the tests all apply the very same files.
package migrations

import "embed"

// FS holds the schema files NNNN_noun.sql. They go forward only and are
// additive: the previous release keeps working on the schema of the next.
//
//go:embed *.sql
var FS embed.FS
