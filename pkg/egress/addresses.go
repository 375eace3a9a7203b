package egress

import (
	"fmt"
	"net"
	"strings"
)

// AddressMap tells where hosts are dialled that are reached inside a cluster.
// A key is a host name, or .suffix for all names under a domain; a value is
// host:port, or a host alone to keep the URL's port. Host header and TLS name
// stay those of the URL.
type AddressMap map[string]string

// ParseAddressMap reads pairs like alice.example=10.0.0.5:8080.
func ParseAddressMap(pairs []string) (AddressMap, error) {
	m := make(AddressMap, len(pairs))
	for _, pair := range pairs {
		host, addr, ok := strings.Cut(pair, "=")
		host, addr = strings.ToLower(strings.TrimSpace(host)), strings.TrimSpace(addr)
		if !ok || host == "" || addr == "" {
			return nil, fmt.Errorf("parse address %q: want host=address", pair)
		}
		m[host] = addr
	}
	return m, nil
}

// lookup finds the address to dial for host:port; a full name wins over a
// suffix and a longer suffix over a shorter one.
func (m AddressMap) lookup(hostport string) (string, bool) {
	host, port, err := net.SplitHostPort(hostport)
	if err != nil || len(m) == 0 {
		return "", false
	}
	name := strings.ToLower(strings.TrimSuffix(host, "."))
	if addr, ok := m[name]; ok {
		return withPort(addr, port), true
	}
	for i := range len(name) {
		if name[i] != '.' {
			continue
		}
		if addr, ok := m[name[i:]]; ok {
			return withPort(addr, port), true
		}
	}
	return "", false
}

func withPort(addr, port string) string {
	if _, _, err := net.SplitHostPort(addr); err == nil {
		return addr
	}
	return net.JoinHostPort(strings.Trim(addr, "[]"), port)
}
