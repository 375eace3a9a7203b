// Package instance is the target of a migration: it turns what the engine and
// the worker want into files and documents of one Cozy instance, and what the
// stack says into classified errors.
//
// [Target] writes files, [Documents] reads the account and keeps the tracking
// document; [Remote] is the source where the stack itself reaches it. All are safe
// for concurrent use. Errors are *transfer.Error, but
// for the end of the caller's context, whose cause comes back as it is.
package instance

import "example.org/ncm/pkg/contract"

// Scope is what the token of the migrator has to allow, no more.
const Scope = contract.DoctypeFiles + ":GET,POST,PATCH,DELETE " +
	contract.DoctypeAccounts + ":GET " +
	contract.DoctypeMigrations + ":GET,PUT " +
	contract.DoctypeSettings + ":GET"

// RemoteScope is the same where the source is a [Remote]: its login is none of the
// migrator's business, and it has no marks.
const RemoteScope = contract.DoctypeFiles + ":GET,POST,DELETE " +
	contract.DoctypeMigrations + ":GET,PUT " +
	contract.DoctypeSettings + ":GET"
