package egress

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"syscall"
)

// ErrForbiddenAddress means that a host resolved to an address that the policy
// keeps from users: a private network, this machine or something special. Its text
// is for operators, who can allow it; users are told of a server that does not answer.
var ErrForbiddenAddress = errors.New("forbidden address, neither public nor in ALLOWED_PRIVATE_RANGES")

// policy judges resolved addresses, after DNS and for each dial, so that a name
// that changes its address between check and use gains nothing.
type policy struct {
	allow, deny []netip.Prefix
	global6     netip.Prefix
}

func newPolicy(allow []netip.Prefix) policy {
	deny := []string{
		"0.0.0.0/8",        // this network
		"10.0.0.0/8",       // private
		"100.64.0.0/10",    // shared by carriers, also metadata of some clouds
		"127.0.0.0/8",      // loopback
		"168.63.129.16/32", // Azure's host, though its address is public
		"169.254.0.0/16",   // link-local, metadata of most clouds
		"172.16.0.0/12",    // private
		"192.0.0.0/24",     // protocol assignments
		"192.0.2.0/24",     // documentation
		"192.88.99.0/24",   // 6to4 relays
		"192.168.0.0/16",   // private
		"198.18.0.0/15",    // benchmarks
		"198.51.100.0/24",  // documentation
		"203.0.113.0/24",   // documentation
		"224.0.0.0/4",      // multicast
		"240.0.0.0/4",      // reserved and broadcast
		"2001::/23",        // protocol assignments, Teredo
		"2001:db8::/32",    // documentation
		"2002::/16",        // 6to4, holds any IPv4 address
		"3fff::/20",        // documentation
	}
	p := policy{allow: allow, global6: netip.MustParsePrefix("2000::/3")}
	for _, cidr := range deny {
		p.deny = append(p.deny, netip.MustParsePrefix(cidr))
	}
	return p
}

func (p policy) control(_ context.Context, _, address string, _ syscall.RawConn) error {
	addr, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%w: not an IP address", ErrForbiddenAddress)
	}
	if !p.permits(addr.Addr()) {
		return ErrForbiddenAddress
	}
	return nil
}

func (p policy) permits(addr netip.Addr) bool {
	// A mapped form or a zone must not hide an address from the lists.
	addr = addr.WithZone("").Unmap()
	within := func(prefix netip.Prefix) bool { return prefix.Contains(addr) }
	if slices.ContainsFunc(p.allow, within) {
		return true
	}
	// Outside of global unicast lie loopback, unique local, link-local,
	// multicast, NAT64 (64:ff9b::/96) and what nobody has been given.
	if addr.Is6() && !p.global6.Contains(addr) {
		return false
	}
	return !slices.ContainsFunc(p.deny, within)
}
