// Package contract holds what both services and their neighbours agree on: the
// RabbitMQ exchange and messages, the tracking document and the account
// document as the Cozy stack stores them. It imports nothing but the standard
// library and decides nothing.
package contract

// Doctypes of the documents that the services read and write in an instance.
const (
	// DoctypeMigrations is the tracking document that the Settings page watches.
	DoctypeMigrations = "io.cozy.nextcloud.migrations"
	// DoctypeAccounts holds the Nextcloud login of the instance's owner.
	DoctypeAccounts = "io.cozy.accounts"
	// DoctypeFiles is the virtual file system of an instance.
	DoctypeFiles = "io.cozy.files"
	// DoctypeSettings is asked for in scopes to read the disk usage.
	DoctypeSettings = "io.cozy.settings"
)

// AccountTypeNextcloud is the account_type of the one account document that a
// migration uses.
const AccountTypeNextcloud = "nextcloud"

// Defaults of the fields that a caller of the trigger may leave out.
const (
	DefaultSourcePath = "/"
	DefaultTargetDir  = "/Nextcloud"
)
