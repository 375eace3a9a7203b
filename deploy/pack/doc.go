// Package pack makes what is shipped: images, archives, and lists of what is in
// them. The same binaries and date give the same bytes, wherever and whenever.
package pack
