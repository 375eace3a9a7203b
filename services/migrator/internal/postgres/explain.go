package postgres

import (
	"errors"
	"fmt"
	"net"

	"github.com/jackc/pgx/v5/pgconn"
)

// ErrAdvice is wrapped by what Explain returns.
var ErrAdvice = errors.New("the ledger can't be used")

// Explain says what an operator can do about an error of the database; others
// come back as they are. What it returns quotes neither the database's text nor
// the connection's settings.
func Explain(err error) error {
	if advice := advice(err); advice != "" {
		return fmt.Errorf("%w: %s", ErrAdvice, advice)
	}
	return err
}

func advice(err error) string {
	var server *pgconn.PgError
	var connect *pgconn.ConnectError
	var dns *net.DNSError
	switch {
	case errors.As(err, &server):
		return adviceFor(server.Code)
	case errors.As(err, &dns):
		return "the host of DATABASE_URL has no address; check its name, and the DNS of this place"
	case errors.As(err, &connect), cutOff(err):
		return "the database does not answer; check the host, port and sslmode of DATABASE_URL, that the server runs, and that the network lets this place reach it"
	}
	return ""
}

func adviceFor(code string) string {
	switch code {
	case "28P01", "28000":
		return "the database refuses the user or the password of DATABASE_URL, or this address in its pg_hba.conf; check the secret and the role"
	case "3D000":
		return "the database that DATABASE_URL names does not exist; create it, then run: migrator schema"
	case "42P01", "42703", "42883":
		return "the ledger's schema is missing or older than this program; run: migrator schema"
	case "42501":
		return "the role of DATABASE_URL lacks rights on the ledger's tables; make it their owner, as the role that runs migrator schema is"
	case "25006":
		return "the database is read-only: a standby, or a fail-over under way; point DATABASE_URL at the primary (target_session_attrs=read-write)"
	case "53100":
		return "the database's disk is full; make room, see migrator purge"
	case "53300":
		return "the database has no connection left; lower DATABASE_CONNS or raise its max_connections"
	case "57P03", "57P01", "57P02":
		return "the database is starting or stopping; try again soon"
	}
	return ""
}
