package egress

import "net/netip"

// Permits asks the policy without a dial, which for public addresses would
// leave the machine.
func Permits(allow []netip.Prefix, addr netip.Addr) bool { return newPolicy(allow).permits(addr) }
