// Package config reads the settings of a binary from the environment. It wraps
// envconfig so that every fault is reported at once, secrets may come from files
// and no secret is ever printed.
package config
