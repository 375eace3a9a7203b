package cozy

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"golang.org/x/net/idna"
)

// ErrHostRefused is wrapped when a host is not one of an allowed instance.
var ErrHostRefused = errors.New("host is not an allowed instance")

// Hosts is the allow-list of instance hosts. The zero value refuses all.
type Hosts struct {
	entries []hostEntry
	names   *idna.Profile
}

type hostEntry struct {
	name      string // ASCII, lower case, without a leading dot
	port      string // "" none, "*" any or none
	belowOnly bool
	address   bool // an IP literal, matched as a whole
}

// NewHosts makes an allow-list of suffixes:
//
//   - cozy.example allows that host and every host below it;
//   - .cozy.example allows only the hosts below it;
//   - localhost:8080 does so for this port, and only for this port;
//   - localhost:* does so for any port and for none;
//   - 192.0.2.1 or [2001:db8::1]:8080 allows exactly that address.
//
// An entry without a port allows only hosts without one. Blank entries are
// passed over; an empty list refuses all.
func NewHosts(suffixes []string) (Hosts, error) {
	h := Hosts{names: idna.New(
		idna.MapForLookup(),
		idna.BidiRule(),
		idna.Transitional(false),
		idna.VerifyDNSLength(true),
		idna.CheckHyphens(false), // names like app--alice exist
	)}
	for _, suffix := range suffixes {
		suffix = strings.TrimSpace(suffix)
		if suffix == "" {
			continue
		}
		entry, err := h.parseEntry(suffix)
		if err != nil {
			return Hosts{}, fmt.Errorf("instance suffix %q: %w", suffix, err)
		}
		h.entries = append(h.entries, entry)
	}
	return h, nil
}

func (h Hosts) parseEntry(suffix string) (hostEntry, error) {
	suffix, anyPort := strings.CutSuffix(suffix, ":*")
	suffix, belowOnly := strings.CutPrefix(suffix, ".")
	name, port, address, err := h.parse(suffix)
	if err != nil {
		return hostEntry{}, err
	}
	if belowOnly && address {
		return hostEntry{}, errors.New("nothing is below an address")
	}
	if anyPort {
		port = "*"
	}
	return hostEntry{name: name, port: port, belowOnly: belowOnly, address: address}, nil
}

// Check gives the host in the form in which it may be used and compared: lower
// case, ASCII, with the port where there is one. The error wraps ErrHostRefused
// and quotes nothing of the host.
func (h Hosts) Check(fqdn string) (string, error) {
	if len(h.entries) == 0 {
		return "", fmt.Errorf("%w: no instance is allowed", ErrHostRefused)
	}
	name, port, address, err := h.parse(fqdn)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrHostRefused, err)
	}
	for _, entry := range h.entries {
		if entry.allows(name, port, address) {
			return join(name, port), nil
		}
	}
	return "", fmt.Errorf("%w: it matches no suffix", ErrHostRefused)
}

func (e hostEntry) allows(name, port string, address bool) bool {
	if e.address != address || (e.port != "*" && e.port != port) {
		return false
	}
	if name == e.name {
		return !e.belowOnly
	}
	return !address && strings.HasSuffix(name, "."+e.name)
}

var (
	errHostForm = errors.New("not a host name")
	errPortForm = errors.New("not a port")
)

// parse takes a host apart and normalizes it; address tells an IP literal.
func (h Hosts) parse(host string) (name, port string, address bool, err error) {
	name, port, err = split(host)
	if err != nil {
		return "", "", false, err
	}
	if addr, err := netip.ParseAddr(name); err == nil {
		if addr.Zone() != "" {
			return "", "", false, errHostForm
		}
		return addr.Unmap().String(), port, true, nil
	}
	ascii, err := h.names.ToASCII(name)
	if err != nil || !isName(ascii) {
		return "", "", false, errHostForm
	}
	// Some names come out in a form that is itself refused.
	if again, err := h.names.ToASCII(ascii); err != nil || again != ascii {
		return "", "", false, errHostForm
	}
	return ascii, port, false, nil
}

// split separates a port without believing that the rest is a name.
func split(host string) (name, port string, err error) {
	if !strings.Contains(host, ":") {
		return host, "", nil
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return host, "", nil // a bare IPv6 address
	}
	if strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") {
		name = host[1 : len(host)-1]
	} else if name, port, err = net.SplitHostPort(host); err != nil {
		return "", "", errHostForm
	}
	if _, err := netip.ParseAddr(name); err != nil && host[0] == '[' {
		return "", "", errHostForm // brackets are for addresses
	}
	if port == "" && host[len(host)-1] != ':' {
		return name, "", nil
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil || number == 0 || strconv.FormatUint(number, 10) != port {
		return "", "", errPortForm
	}
	return name, port, nil
}

// isName refuses what resolvers read as an address, like 127.1 or 0x7f000001,
// and whatever is not a plain host name.
func isName(ascii string) bool {
	last := ""
	for label := range strings.SplitSeq(ascii, ".") {
		if label == "" || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		if strings.ContainsFunc(label, notInName) {
			return false
		}
		last = label
	}
	return last[0] < '0' || last[0] > '9'
}

func notInName(r rune) bool {
	return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-'
}

func join(name, port string) string {
	if strings.Contains(name, ":") {
		name = "[" + name + "]"
	}
	if port == "" {
		return name
	}
	return name + ":" + port
}
