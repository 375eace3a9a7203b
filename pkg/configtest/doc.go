// Package configtest holds docs/OPERATIONS.md to the settings that the programs read.
package configtest
