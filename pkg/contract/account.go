package contract

import (
	"crypto/sha256"
	"encoding/hex"
)

// Account is the part of an io.cozy.accounts document that the services use.
// The stack encrypts the password when it stores the document and gives it back
// only to a reader who asks for the credentials.
type Account struct {
	AccountType  string      `json:"account_type"`
	Name         string      `json:"name,omitempty"`
	WebDAVUserID string      `json:"webdav_user_id,omitempty"`
	Auth         AccountAuth `json:"auth"`
	// Issued says that the trigger had the password made, for a migration. An
	// addition of this service: other writers may replace the password and keep
	// this, so ask [Account.IssuedFor].
	Issued *IssuedPassword `json:"issued_password,omitempty"`
}

// AccountAuth is where the user's files are and how to log in there.
type AccountAuth struct {
	URL      string `json:"url"` // ends in a slash, may hold a sub-path
	Login    string `json:"login"`
	Password string `json:"password,omitempty"`
}

// IssuedPassword tells an app password that was made for a migration from any
// other. It does not tell the password, which is random and long.
type IssuedPassword struct {
	MigrationID string `json:"migration_id"`
	SHA256      string `json:"sha256"` // of the password, in hexadecimal digits
}

// Issue gives the account an app password that was made for a migration.
func (a *Account) Issue(migrationID, password string) {
	a.Auth.Password = password
	a.Issued = &IssuedPassword{MigrationID: migrationID, SHA256: sumOf(password)}
}

// IssuedFor gives the migration that the account's password was made for. Empty:
// it is the user's own, and nobody else's to give back.
func (a *Account) IssuedFor() string {
	if a.Issued == nil || a.Auth.Password == "" || a.Issued.SHA256 != sumOf(a.Auth.Password) {
		return ""
	}
	return a.Issued.MigrationID
}

func sumOf(password string) string {
	sum := sha256.Sum256([]byte(password))
	return hex.EncodeToString(sum[:])
}
