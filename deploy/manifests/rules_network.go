package manifests

import (
	"context"
	"net/netip"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// traffic: one policy denies everything for all pods; each other one names ports
// and peers, and selects some pod.
func traffic(_ context.Context, s *Set, _ Facts) []string {
	var f faults
	denied := map[networkingv1.PolicyType]bool{}
	for _, p := range s.Policies {
		everyPod := len(p.Spec.PodSelector.MatchLabels) == 0 && len(p.Spec.PodSelector.MatchExpressions) == 0
		if everyPod && len(p.Spec.Ingress) == 0 && len(p.Spec.Egress) == 0 {
			for _, t := range p.Spec.PolicyTypes {
				denied[t] = true
			}
			continue
		}
		f.unless(s.selectsSome(&p.Spec.PodSelector), "NetworkPolicy/%s is about no pod", p.Name)
		for _, rule := range p.Spec.Ingress {
			f.unless(len(rule.Ports) > 0 && closed(rule.From), "NetworkPolicy/%s lets everybody in", p.Name)
		}
		for _, rule := range p.Spec.Egress {
			f.unless(len(rule.Ports) > 0 && closed(rule.To), "NetworkPolicy/%s lets everything out", p.Name)
		}
	}
	f.unless(denied[networkingv1.PolicyTypeIngress] && denied[networkingv1.PolicyTypeEgress], "what no policy names is not denied")
	return f
}

// unpublished: what is for operators and for Prometheus is behind no Service, and open
// to one namespace. kubectl port-forward needs neither.
func unpublished(_ context.Context, s *Set, _ Facts) []string {
	var f faults
	for _, service := range s.Services {
		for _, port := range service.Spec.Ports {
			f.unless(port.TargetPort.StrVal == "api", "Service/%s leads to the port %s", service.Name, port.TargetPort.String())
		}
	}
	for _, p := range s.Policies {
		for _, rule := range p.Spec.Ingress {
			for _, port := range rule.Ports {
				monitoring := p.Name == "metrics" && len(rule.From) == 1 && rule.From[0].NamespaceSelector != nil
				f.unless(port.Port != nil && (port.Port.StrVal == "api" || port.Port.StrVal == "ops" && monitoring),
					"NetworkPolicy/%s opens the port %s", p.Name, port.Port.String())
			}
		}
	}
	return f
}

func (s *Set) selectsSome(selector *metav1.LabelSelector) bool {
	parsed, err := metav1.LabelSelectorAsSelector(selector)
	return err == nil && slices.ContainsFunc(s.Pods(), func(p Pod) bool { return parsed.Matches(labels.Set(p.Labels)) })
}

// closed says whether peers are named, none of them by an empty selector of
// namespaces.
func closed(peers []networkingv1.NetworkPolicyPeer) bool {
	for _, p := range peers {
		if p.IPBlock == nil && (p.NamespaceSelector == nil || len(p.NamespaceSelector.MatchLabels) == 0) {
			return false
		}
	}
	return len(peers) > 0
}

// private: no block of addresses holds one that a user's Nextcloud must not be at.
// Blocks that hold the public Internet are for HTTPS alone.
func private(_ context.Context, s *Set, _ Facts) []string {
	var f faults
	for _, p := range s.Policies {
		for _, rule := range p.Spec.Egress {
			for _, peer := range rule.To {
				if peer.IPBlock == nil {
					continue
				}
				for _, secluded := range []string{
					"10.96.0.1", "172.17.0.1", "192.168.1.1", "100.64.0.1", "127.0.0.1", "168.63.129.16", "169.254.169.254",
					"fd00::1", "fe80::1", "::1", "64:ff9b::a00:1", "2002:a00:1::1",
				} {
					f.unless(!within(peer.IPBlock, netip.MustParseAddr(secluded)), "NetworkPolicy/%s reaches %s", p.Name, secluded)
				}
				public := within(peer.IPBlock, netip.MustParseAddr("9.9.9.9"))
				f.unless(!public || len(rule.Ports) == 1 && rule.Ports[0].Port.IntValue() == 443, "NetworkPolicy/%s reaches the Internet at other ports than 443", p.Name)
			}
		}
	}
	return f
}

// within says whether a block lets an address through; what cannot be read does.
func within(block *networkingv1.IPBlock, addr netip.Addr) bool {
	cidr, err := netip.ParsePrefix(block.CIDR)
	if err != nil {
		return true
	}
	for _, except := range block.Except {
		if out, err := netip.ParsePrefix(except); err == nil && out.Contains(addr) {
			return false
		}
	}
	return cidr.Contains(addr)
}
