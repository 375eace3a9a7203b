// Package cozy is the client of Cozy instances: their files, their documents,
// their disk usage and the permissions of a caller's token.
//
// A [Stack] holds what all instances share (HTTP client, tokens); an [Instance]
// is one host of it and costs nothing to make. Everything is safe for
// concurrent use.
//
// Answers are read up to a bound. What a server says is an *[Error], which keeps
// the status and a short code and never the server's free text. Everything else
// that comes back is a failure of the connection, a cancelled context,
// [ErrAnswer] or a failure of the token source.
package cozy
